"""Pods of many workloads on many nodes, as a cluster of any size has them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from random import Random
from typing import Literal

from engine.bench.objects.values import SAFE, apportion, hex_digits, timestamp, uid
from engine.bench.objects.workloads import Catalog, Workload, namespaces, workload

WORKLOADS_PER_NAMESPACE = 20
PODS_PER_NODE = 30
FEWEST_NAMESPACES = 4
_SAFE = SAFE.encode()
SHUFFLED_AT_ONCE = 20_000  # pods that wait for their turn when the order is "shuffled"


class Nodes:
    """The nodes that pods run on: names and addresses are functions of the number."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._seed = seed
        self._given = array("B", bytes(count))

    def name(self, number: int) -> bytes:
        return b"ip-10-%d-%d-%d.eu-central-1.compute.internal" % self._address(number)

    def host_ip(self, number: int) -> bytes:
        return b"10.%d.%d.%d" % self._address(number)

    def next_pod_ip(self, number: int) -> bytes:
        """From the node's own range of 254, one after the other."""
        given = self._given[number] = self._given[number] % 254 + 1
        return b"100.%d.%d.%d" % (64 + (number >> 8 & 63), number & 255, given)

    def _address(self, number: int) -> tuple[int, int, int]:
        return 16 + (number >> 14 & 127), number >> 6 & 255, (number & 63) * 4 + self._seed % 3 + 1


def pods(
    count: int,
    *,
    per_owner: float = 120,
    nodes: int | None = None,
    seed: int = 0,
    order: Literal["key", "shuffled"] = "key",
) -> Iterator[bytes]:
    """`count` running pods of about 7 KB, owned by `count / per_owner` ReplicaSets of unequal sizes (at 1, every pod
    has a workload of its own), in namespaces of about 20 workloads, on `nodes` nodes (one for 30 pods if not given).

    Compact JSON in the field order of Kubernetes' own encoder. In key order, or shuffled over all namespaces. Costs
    about 10 us a pod and 40 us a workload; holds the namespaces' names and one namespace's workloads, and when shuffled
    20,000 pods. ValueError for a count below 0 or fewer than one pod per owner."""
    if count < 0 or per_owner < 1:
        raise ValueError(f"{count} pods, {per_owner} per owner: at least 0, and at least 1 per owner")
    if order == "shuffled":
        yield from _shuffled(pods(count, per_owner=per_owner, nodes=nodes, seed=seed), Random(f"order {seed}"))
        return
    if not count:
        return
    plan = Random(f"plan {seed}")
    owners = max(1, round(count / per_owner))
    sizes = iter(apportion(count, owners, plan, 0.7))
    spaces = max(owners // WORKLOADS_PER_NAMESPACE, min(owners, FEWEST_NAMESPACES))
    catalog = Catalog(owners, seed)
    places = Nodes(nodes or max(3, count // PODS_PER_NODE), seed)
    for number, (namespace, held) in enumerate(
        zip(namespaces(spaces, plan), apportion(owners, spaces, plan, 0.5), strict=True)
    ):
        random = Random(f"namespace {seed} {number}")
        there = sorted((workload(namespace, catalog, random) for _ in range(held)), key=lambda one: one.replicaset)
        for one in there:
            yield from _pods_of(one, next(sizes), places, random)


def _pods_of(owner: Workload, count: int, nodes: Nodes, random: Random) -> Iterator[bytes]:
    """The pods of one ReplicaSet, in the order of their names."""
    suffixes: set[str] = set()
    while len(suffixes) < count:
        suffixes.add("".join(random.choices(SAFE, k=5)))
    digits_each = 32 + 64 * owner.containers
    digits = hex_digits(random, digits_each * count)
    chances = random.randbytes(16 * count)
    fill = owner.pod.fill
    values = {"suffix": b""}
    for number, suffix in enumerate(sorted(suffixes)):
        chance = chances[16 * number : 16 * number + 16]
        at = digits_each * number
        node = int.from_bytes(chance[:4]) % nodes.count
        created = owner.released + chance[4]  # a rollout takes minutes
        if chance[5] < 77:  # and three in ten were moved later
            created += int.from_bytes(chance[6:9]) % 8_000_000
        scheduled = created + (chance[9] > 200)
        sandboxed = scheduled + 1 + (chance[10] & 1)
        started = sandboxed + (chance[11] & 7)
        ready = started + 1 + (chance[12] & 31)
        values["suffix"] = suffix.encode()
        values["uid"] = uid(digits[at : at + 32])
        values["version"] = b"%d" % (1_000_000_000 + ready * 97 + chance[13])
        values["token"] = bytes([_SAFE[byte % len(_SAFE)] for byte in chance[:5]])
        values["node"] = nodes.name(node)
        values["host_ip"] = nodes.host_ip(node)
        values["pod_ip"] = nodes.next_pod_ip(node)
        values["created"] = timestamp(created)
        values["scheduled"] = timestamp(scheduled)
        values["sandboxed"] = timestamp(sandboxed)
        values["ready"] = values["reported"] = timestamp(ready)
        at += 32
        for place in range(owner.containers):
            values[f"started{place}"] = timestamp(started + place)
            values[f"container{place}"] = digits[at : at + 64]
            at += 64
        yield fill(values)


def _shuffled(ordered: Iterator[bytes], random: Random) -> Iterator[bytes]:
    """Each pod waits among 20,000 for its turn."""
    waiting: list[bytes] = []
    for pod in ordered:
        if len(waiting) < SHUFFLED_AT_ONCE:
            waiting.append(pod)
            continue
        place = random.randrange(SHUFFLED_AT_ONCE)
        yield waiting[place]
        waiting[place] = pod
    random.shuffle(waiting)
    yield from waiting
