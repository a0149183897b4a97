"""A process runtime in a process of its own, to be killed: `python -m tests.kubelet.host DIRECTORY PODS.json`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from engine._object import Object
from tests.kubelet.harness import Objects, Runner


async def main(directory: str, pods: str) -> None:
    from tests.kubelet.harness import NODE

    runner = Runner(Path(directory), Objects())
    runner.runtime.attach({NODE.name: NODE}, runner.report)
    runner.sync(*[Object(document) for document in json.loads(Path(pods).read_text())])
    print("up", flush=True)
    await runner.runtime.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
