"""Follows every pod of a cluster through an informer: `python examples/informer.py [KUBECONFIG]`."""

from __future__ import annotations

import asyncio
import sys

from engine.api.resource import PODS
from engine.client import Client, ConfigError, HTTPSTransport, load
from engine.informers import Informers


async def main(kubeconfig: str) -> None:
    client = Client(HTTPSTransport(load(kubeconfig)))
    informers = Informers(client)
    pods = informers.get(PODS, indexes={"node": "spec.nodeName"})
    try:
        await informers.start()
        changes = pods.subscribe()
        while not pods.stopped:
            for change in changes.next_batch():
                node = change.object.get_path("spec.nodeName", "no node")
                print(change.type, change.key, node, len(pods.cache.by_index("node", node)), flush=True)
            await changes.wait()
    finally:
        await informers.stop()
        await client.transport.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "engine-data/kubeconfig"))
    except ConfigError as error:
        sys.exit(f"informer.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
