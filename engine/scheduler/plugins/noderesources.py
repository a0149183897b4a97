"""NodeResourcesFit with LeastAllocated, and NodeResourcesBalancedAllocation: what a node has left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.scheduler.nodes import Integers, Nodes
from engine.scheduler.podclass import Requests

TOO_MANY_PODS = "Too many pods"
WEIGHT = 1  # of LeastAllocated, and of BalancedAllocation likewise

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def fits(nodes: Nodes, at: Integers, asked: Requests) -> Booleans:
    """For the nodes at these indexes. A resource that is not asked for is not checked, even where it is overdrawn."""
    fit: Booleans = nodes.used_pods[at] + 1 <= nodes.allocatable_pods[at]
    if asked.cpu:
        fit &= asked.cpu <= nodes.allocatable_cpu[at] - nodes.used_cpu[at]
    if asked.memory:
        fit &= asked.memory <= nodes.allocatable_memory[at] - nodes.used_memory[at]
    if asked.ephemeral_storage:
        fit &= asked.ephemeral_storage <= nodes.allocatable_storage[at] - nodes.used_storage[at]
    for name, amount in asked.extended:
        fit &= amount <= nodes.extended_free(name)[at]
    return fit


def reasons(nodes: Nodes, index: int, asked: Requests) -> list[str]:
    """Why one node has no room: every resource that is short, pods first."""
    why = [TOO_MANY_PODS] if nodes.used_pods[index] + 1 > nodes.allocatable_pods[index] else []
    room = (
        ("cpu", asked.cpu, nodes.allocatable_cpu[index] - nodes.used_cpu[index]),
        ("memory", asked.memory, nodes.allocatable_memory[index] - nodes.used_memory[index]),
        ("ephemeral-storage", asked.ephemeral_storage, nodes.allocatable_storage[index] - nodes.used_storage[index]),
        *((name, amount, nodes.extended_free(name)[index]) for name, amount in asked.extended),
    )
    return why + [f"Insufficient {name}" for name, amount, free in room if amount and amount > free]


def least_allocated(nodes: Nodes, at: Integers, asked: Requests) -> Integers:
    """The mean over cpu and memory of the share left after the pod, 0 to 100; a resource a node lacks is left out."""
    total = np.zeros(len(at), dtype=np.int64)
    counted = np.zeros(len(at), dtype=np.int64)
    for allocatable, used, more in (
        (nodes.allocatable_cpu[at], nodes.scored_cpu[at], asked.scored_cpu),
        (nodes.allocatable_memory[at], nodes.scored_memory[at], asked.scored_memory),
    ):
        has = allocatable > 0
        left = np.maximum(allocatable - used - more, 0)
        total += np.where(has, left * 100 // np.maximum(allocatable, 1), 0)
        counted += has
    return total // np.maximum(counted, 1)


def balanced_allocation(nodes: Nodes, at: Integers, asked: Requests) -> Integers:
    """How much more even cpu and memory are used with the pod than without: 50 to 100 (the formula of 1.36).
    Nothing for pods that ask for neither."""
    if not asked.cpu and not asked.memory:
        return np.zeros(len(at), dtype=np.int64)
    gain = 50 + _evenness(nodes, at, asked.cpu, asked.memory) - _evenness(nodes, at, 0, 0)
    return 50 + np.where(gain < 0, -(-gain // 2), gain // 2)  # Go's division: towards zero


def _evenness(nodes: Nodes, at: Integers, cpu: int, memory: int) -> Integers:
    has_both = (nodes.allocatable_cpu[at] > 0) & (nodes.allocatable_memory[at] > 0)
    difference = np.abs(
        _fraction(nodes.used_cpu[at] + cpu, nodes.allocatable_cpu[at])
        - _fraction(nodes.used_memory[at] + memory, nodes.allocatable_memory[at])
    )
    return ((1.0 - np.where(has_both, difference / 2, 0.0)) * 100).astype(np.int64)


def _fraction(used: Integers, allocatable: Integers) -> Floats:
    return np.minimum(1.0, used / np.maximum(allocatable, 1))
