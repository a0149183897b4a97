"""Run with the Python that has the wheel installed, outside the checkout: the library and the command work."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import engine


def main() -> None:
    where = Path(engine.__file__).resolve()
    assert "site-packages" in where.parts, f"not the installed package: {where}"
    cache = engine.Cache(indexes={"node": "spec.nodeName"})
    cache.apply(
        "ADDED", {"metadata": {"namespace": "a", "name": "b", "resourceVersion": "7"}, "spec": {"nodeName": "n"}}
    )
    assert [pod.key for pod in cache.by_index("node", "n")] == ["a/b"]
    command = Path(sys.executable).parent / "engine"
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            str(command),
            "up",
            "--data-dir",
            f"{folder}/data",
            "--listen",
            "127.0.0.1:0",
            "--runtime",
            "simulated",
        ]
        plane = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert plane.stdout
        assert plane.stderr
        words = plane.stdout.readline().split()
        assert words[:1] == ["ready"], plane.stderr.read()
        import ssl

        with urllib.request.urlopen(f"{words[1]}/version", context=ssl._create_unverified_context()) as answer:
            assert json.load(answer)["major"] == "1"
        plane.send_signal(signal.SIGTERM)
        assert plane.wait(15) == 0, plane.stderr.read()
    print(f"the wheel of engine {engine.__version__} works: {where.parent}")


if __name__ == "__main__":
    main()
