"""A process runtime in a process of its own, to be killed: `python -m tests.kubelet.host DIRECTORY PODS.json`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from engine._object import Object
from tests.kubelet.harness import NODE, Objects, Runner


async def main(directory: Path, pods: list[Object]) -> None:
    runner = Runner(directory, Objects())
    runner.runtime.attach({NODE.name: NODE}, runner.report)
    runner.sync(*pods)
    print("up", flush=True)
    await runner.runtime.run()


if __name__ == "__main__":
    manifest = Path(sys.argv[2]).read_text()
    asyncio.run(main(Path(sys.argv[1]), [Object(document) for document in json.loads(manifest)]))
