"""The story of one Deployment, told while it happens: `make demo`.

Starts a control plane with three nodes in a temporary directory, creates `deployment.yml` with the real kubectl, retells
the five steps from the control plane's own log, shows what kubectl sees, and leaves nothing behind.
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
        self.steps: list[dict[str, Any]] = []
        self.others: list[str] = []
        command = [str(BIN / "engine"), "up", "--data-dir", str(folder / "data"), "--listen", "127.0.0.1:0"]
        command += ["--nodes", "3", "--runtime", "process", "--kubeconfig", str(self.kubeconfig), "--log-format", "json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
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
            if "step" in record:
                self.steps.append(record)
            else:
                self.others.append(f"{record['level']} {record['logger']} {record['message']}")

    def kubectl(self, *words: str, show: bool = True) -> str:
        if show:
            print(f"\n$ kubectl {' '.join(words)}", flush=True)
        command = [str(BIN / "kubectl"), "--kubeconfig", str(self.kubeconfig), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if show:
            print(done.stdout.rstrip() + done.stderr.rstrip(), flush=True)
        if done.returncode:
            raise SystemExit(f"kubectl {' '.join(words)} failed: {done.stderr}")
        return done.stdout

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self._reader.join(10)
        return code


def tell(steps: list[dict[str, Any]], created: datetime) -> None:
    """The steps in order, each with its time after kubectl's request and what was seen and written."""
    for number, title in TITLES.items():
        print(f"\n{number}. {title}")
        for record in [step for step in steps if step["step"] == number]:
            after = (datetime.fromisoformat(record["time"]) - created).total_seconds()
            words = [f"saw {record['saw']}" if "saw" in record else "", f"through {record['through']}" if "through" in record else ""]
            words.append(f"wrote {record['wrote']}" if "wrote" in record else "")
            more = f" (and {record['count'] - 1} more)" if record.get("count", 1) > 1 else ""
            print(f"   {after * 1000:+7.0f} ms  {record['component']:<11} {', '.join(word for word in words if word)}{more}")


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
    started = time.monotonic()
    plane = ControlPlane(folder)
    try:
        print(f"engine up: {plane.ready} ({time.monotonic() - started:.1f} s)")
        plane.kubectl("get", "nodes")
        plane.kubectl("create", "-f", os.path.relpath(HERE / "deployment.yml"))
        plane.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        plane.kubectl("wait", "--for=condition=Ready", "pods", "--selector=app=web", "--timeout=60s", show=False)
        deployment = json.loads(plane.kubectl("get", "deployment", "web", "--output=json", show=False))
        story = [step for step in plane.steps if not step.get("saw", "").startswith("nodes ")]
        first = next((step for step in story if step["step"] == 1), None)
        created = datetime.fromisoformat(first["time"] if first else deployment["metadata"]["creationTimestamp"])
        tell(story, created)
        counts = reads(plane.kubectl("get", "--raw", "/metrics", show=False))
        made = {verb: count for verb, count in counts.items() if verb not in READ_VERBS}
        asked = sum(counts.get(verb, 0) for verb in READ_VERBS)
        print(f"\n5. Nobody polls: controllers, scheduler and kubelet read their informers' caches\n   {asked} list and get requests;", end="")
        print(" writes: " + ", ".join(f"{count} {verb}" for verb, count in sorted(made.items())))
        plane.kubectl("get", "deploy,rs,pods", "-o", "wide")
        pod = plane.kubectl("get", "pods", "--selector=app=web", "-o", "name", show=False).split()[0]
        plane.kubectl("logs", pod, "--tail=5")
        print("\nstopping the control plane (its containers end with it)", flush=True)
    finally:
        code = plane.stop()
        shutil.rmtree(folder, ignore_errors=False)
    if code:
        print("\n".join(plane.others[-20:]), file=sys.stderr)
        raise SystemExit(f"the control plane left with exit code {code}")
    print(f"done in {time.monotonic() - started:.1f} s; nothing left behind in {folder}\n")


if __name__ == "__main__":
    main()
