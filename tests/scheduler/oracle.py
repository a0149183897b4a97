"""kube-scheduler 1.36's decision for one pod, in plain Python from the formulas: what ours must be among.

Written to be read, not to be fast: every node is looked at, nothing is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Document = dict[str, Any]
SUFFIX = {"m": Fraction(1, 1000), "": Fraction(1), "Mi": Fraction(1 << 20), "Gi": Fraction(1 << 30)}


def amount(text: Any) -> Fraction:
    text = str(text)
    digits = text.rstrip("mMGi")
    return Fraction(digits) * SUFFIX[text[len(digits) :]]


def requested(pod: Document, name: str, default: Fraction = Fraction(0)) -> Fraction:
    return sum(
        (
            amount(asked[name]) if name in asked else default
            for container in pod["spec"]["containers"]
            for asked in [container.get("resources", {}).get("requests", {})]
        ),
        Fraction(0),
    )


def allocatable(node: Document, name: str) -> Fraction:
    return amount(node["status"]["allocatable"].get(name, 0))


def on(node: Document, placed: Sequence[Document]) -> list[Document]:
    return [pod for pod in placed if pod["spec"]["nodeName"] == node["metadata"]["name"]]


def tolerates(pod: Document, taint: Document, effects: Sequence[str] | None = None) -> bool:
    for toleration in pod["spec"].get("tolerations", []):
        if effects is not None and toleration.get("effect", "") not in effects:
            continue
        if toleration.get("effect") and toleration["effect"] != taint["effect"]:
            continue
        if toleration.get("key") and toleration["key"] != taint["key"]:
            continue
        if toleration.get("operator", "Equal") == "Exists":
            return True
        if toleration.get("key") and toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def term_matches(term: Document, labels: dict[str, str]) -> bool:
    for expression in term["matchExpressions"]:
        value, values = labels.get(expression["key"]), expression.get("values", [])
        holds = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[expression["operator"]]
        if not holds:
            return False
    return True


def refusals(pod: Document, node: Document, placed: Sequence[Document]) -> list[str]:
    spec, labels = node["spec"], node["metadata"]["labels"]
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if spec.get("unschedulable") and not tolerates(pod, cordon):
        return ["node(s) were unschedulable"]
    if any(t["effect"] in ("NoSchedule", "NoExecute") and not tolerates(pod, t) for t in spec.get("taints", [])):
        return ["node(s) had untolerated taint(s)"]
    selector = pod["spec"].get("nodeSelector", {})
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if any(labels.get(key) != value for key, value in selector.items()) or (
        required and not any(term_matches(term, labels) for term in required["nodeSelectorTerms"])
    ):
        return ["node(s) didn't match Pod's node affinity/selector"]
    here = on(node, placed)
    why = ["Too many pods"] if len(here) + 1 > allocatable(node, "pods") else []
    for name in ("cpu", "memory", "example.com/gpu"):
        wants = requested(pod, name)
        if wants and wants > allocatable(node, name) - sum(requested(other, name) for other in here):
            why.append(f"Insufficient {name}")
    return why


def least_allocated(pod: Document, node: Document, placed: Sequence[Document]) -> int:
    scores = []
    for name, default in (("cpu", Fraction(1, 10)), ("memory", Fraction(200 << 20))):
        has = allocatable(node, name)
        if not has:
            continue
        used = sum(requested(other, name, default) for other in [*on(node, placed), pod])
        scores.append(int((has - used) * 100 / has) if used <= has else 0)
    return sum(scores) // len(scores) if scores else 0


def balanced_allocation(pod: Document, node: Document, placed: Sequence[Document]) -> int:
    if not requested(pod, "cpu") and not requested(pod, "memory"):
        return 0

    def evenness(pods: Sequence[Document]) -> int:
        fractions = [
            min(1.0, float(sum(requested(other, name) for other in pods)) / float(allocatable(node, name)))
            for name in ("cpu", "memory")
            if allocatable(node, name)
        ]
        deviation = abs(fractions[0] - fractions[1]) / 2 if len(fractions) == 2 else 0.0
        return int((1 - deviation) * 100)

    here = on(node, placed)
    return 50 + int((50 + evenness([*here, pod]) - evenness(here)) / 2)


def owner(pod: Document) -> str:
    return next((str(o["uid"]) for o in pod["metadata"].get("ownerReferences", []) if o.get("controller")), "")


def spread(
    pod: Document, nodes: Sequence[Document], everywhere: Sequence[Document], placed: Sequence[Document]
) -> list[int]:
    """For the feasible `nodes`; counts are over all nodes."""
    mine = [
        other
        for other in placed
        if owner(pod) and owner(other) == owner(pod) and "deletionTimestamp" not in other["metadata"]
    ]
    if not mine:
        return [0] * len(nodes)
    zone_key = "topology.kubernetes.io/zone"
    zone_of = {node["metadata"]["name"]: node["metadata"]["labels"].get(zone_key) for node in everywhere}
    zones = {zone_of[node["metadata"]["name"]] for node in nodes} - {None}
    raw = []
    for node in nodes:
        score = len(on(node, mine)) * math.log(len(nodes) + 2) + 2
        zone = zone_of[node["metadata"]["name"]]
        if zone is not None:
            score += sum(zone_of[p["spec"]["nodeName"]] == zone for p in mine) * math.log(len(zones) + 2) + 4
        raw.append(math.floor(score + 0.5))
    return [100 if max(raw) == 0 else 100 * (max(raw) + min(raw) - value) // max(raw) for value in raw]


def best_nodes(pod: Document, nodes: Sequence[Document], placed: Sequence[Document]) -> set[str]:
    """The names of the nodes with the highest sum; empty when none is feasible."""
    feasible = [node for node in nodes if not refusals(pod, node, placed)]
    if not feasible:
        return set()
    soft = [
        sum(
            t["effect"] == "PreferNoSchedule" and not tolerates(pod, t, ("", "PreferNoSchedule"))
            for t in n["spec"].get("taints", [])
        )
        for n in feasible
    ]
    taints = [100 - 100 * count // max(soft) if max(soft) else 100 for count in soft]
    preferred = (
        pod["spec"]
        .get("affinity", {})
        .get("nodeAffinity", {})
        .get("preferredDuringSchedulingIgnoredDuringExecution", [])
    )
    weights = [
        sum(p["weight"] for p in preferred if term_matches(p["preference"], node["metadata"]["labels"]))
        for node in feasible
    ]
    affinity = [100 * weight // max(weights) if max(weights) else weight for weight in weights]
    spreads = spread(pod, feasible, nodes, placed)
    totals = {
        node["metadata"]["name"]: 3 * taints[i]
        + 2 * affinity[i]
        + 2 * spreads[i]
        + least_allocated(pod, node, placed)
        + balanced_allocation(pod, node, placed)
        for i, node in enumerate(feasible)
    }
    return {name for name, total in totals.items() if total == max(totals.values())}
