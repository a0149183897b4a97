"""The story of one Deployment, told while it happens: `make demo`.

Starts a control plane with three nodes in a temporary directory, creates `deployment.yml` with the real kubectl,
retells the five steps from the control plane's own log, shows what kubectl sees, and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
TITLES = {
    1: "kubectl sends the Deployment; the API server checks it and stores it",
    2: "The Deployment controller makes a ReplicaSet, the ReplicaSet controller makes the Pods",
    3: "The scheduler filters and scores the nodes and binds each Pod to one",
    4: "The kubelet of that node starts the containers and reports them",
}
READ_VERBS = ("list", "get")


class ControlPlane:
    """An `engine up` of our own, and what its log tells."""

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.story: Story | None = None  # told while there is one
        self.others: list[str] = []
        command = [str(BIN / "engine"), "up", "--data-dir", str(folder / "data"), "--listen", "127.0.0.1:0"]
        command += [
            "--nodes",
            "3",
            "--runtime",
            "process",
            "--kubeconfig",
            str(self.kubeconfig),
            "--log-format",
            "json",
        ]
        self.ready = ""
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops it in order
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def wait_until_ready(self) -> None:
        assert self.process.stdout
        self.ready = self.process.stdout.readline().strip()
        if not self.ready.startswith("ready "):
            self.process.wait(10)
            raise SystemExit("the control plane did not start:\n" + "\n".join(self.others[-20:]))

    def _read_log(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            try:
                record = json.loads(line)
            except ValueError:
                self.others.append(line.rstrip())
                continue
            if "step" not in record:
                self.others.append(f"{record['level']} {record['logger']} {record['message']}")
            elif self.story is not None:
                self.story.tell(record)

    def kubectl(self, *words: str, show: bool = True) -> str:
        if show:
            print(f"\n$ kubectl {' '.join(words)}", flush=True)
        command = [str(BIN / "kubectl"), "--kubeconfig", str(self.kubeconfig), *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        if show:
            say(done.stdout.rstrip() + done.stderr.rstrip())
        if done.returncode:
            raise SystemExit(f"kubectl {' '.join(words)} failed: {done.stderr}")
        return done.stdout

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self._reader.join(10)
        return code


class Story:
    """Retells the steps as the log brings them, each with its time after the Deployment was stored."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._told = 0

    def tell(self, step: dict[str, Any]) -> None:
        number = step["step"]
        if self._began is None and number > 1:
            return  # of the nodes, before kubectl spoke
        now = datetime.fromisoformat(step["time"])
        self._began = self._began or now
        lines: list[str] = []
        if number > self._told:
            self._told = number
            lines += ["", f"{number}. {TITLES[number]}"]
        lines.append(f"   {(now - self._began).total_seconds() * 1000:+6.0f} ms  {step['component']}")
        if "saw" in step:
            through = f", through the {step['through']}" if "through" in step else ""
            lines.append(f"              saw   {step['saw']}{through}")
        if "wrote" in step:
            more = f" and {step['count'] - 1} more" if step.get("count", 1) > 1 else ""
            lines.append(f"              wrote {step['wrote']}{more}")
        say("\n".join(lines))


def say(text: str) -> None:
    """In one write: the story is told while kubectl speaks."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def reads(metrics: str) -> dict[str, int]:
    """Requests by verb that the control plane's own programs made of the API server."""
    counts: dict[str, int] = {}
    for line in metrics.splitlines():
        if line.startswith("engine_api_requests_total{") and 'client="component"' in line:
            verb = line.split('verb="', 1)[1].split('"', 1)[0].lower()
            counts[verb] = counts.get(verb, 0) + int(float(line.rsplit(" ", 1)[1]))
    return counts


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="engine-demo-"))
    try:
        run(folder)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C is not to leave things behind
        shutil.rmtree(folder)


def run(folder: Path) -> None:
    started = time.monotonic()
    plane = ControlPlane(folder)
    try:
        plane.wait_until_ready()
        print(f"engine up: {plane.ready} ({time.monotonic() - started:.1f} s)")
        plane.kubectl("get", "nodes")
        plane.story = Story()
        plane.kubectl("create", "-f", os.path.relpath(HERE / "deployment.yml"))
        plane.kubectl("rollout", "status", "deployment/web", "--timeout=60s", show=False)
        plane.kubectl("wait", "--for=condition=Ready", "pods", "--selector=app=web", "--timeout=60s", show=False)
        plane.story = None
        counts = reads(plane.kubectl("get", "--raw", "/metrics", show=False))
        made = {verb: count for verb, count in counts.items() if verb not in READ_VERBS}
        told = ", ".join(f"{count} {verb}" for verb, count in sorted(made.items()))
        asked = sum(counts.get(verb, 0) for verb in READ_VERBS)
        print("\n5. Nobody polls: controllers, scheduler and kubelet read their informers' caches")
        print(f"   {asked} list and get requests; writes, events and heartbeats included: " + told)
        plane.kubectl("get", "deploy,rs,pods", "-o", "wide")
        pod = plane.kubectl("get", "pods", "--selector=app=web", "-o", "name", show=False).split()[0]
        plane.kubectl("logs", pod, "--tail=5")
        print("\nstopping the control plane (its containers end with it)", flush=True)
    finally:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = plane.stop()
        signal.signal(signal.SIGINT, before)
    if code:
        print("\n".join(plane.others[-20:]), file=sys.stderr)
        raise SystemExit(f"the control plane left with exit code {code}")
    print(f"done in {time.monotonic() - started:.1f} s; nothing is left behind\n")


if __name__ == "__main__":
    main()
