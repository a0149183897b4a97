"""NodeAffinity: nodeSelector and required affinity refuse, preferred affinity scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.scheduler.nodes import Integers, Nodes
from engine.scheduler.podclass import PodClass, Term

REASON = "node(s) didn't match Pod's node affinity/selector"
WEIGHT = 2


def refuses(nodes: Nodes, index: int, asked: PodClass) -> str:
    labels = nodes.labels[index]
    if any(labels.get(key) != value for key, value in asked.node_selector):
        return REASON
    if asked.required is not None and not any(matches(term, nodes.names[index], labels) for term in asked.required):
        return REASON
    return ""


def raw(nodes: Nodes, index: int, asked: PodClass) -> int:
    """The weights of the preferences that the node meets."""
    name, labels = nodes.names[index], nodes.labels[index]
    return sum(preference.weight for preference in asked.preferred if matches(preference.term, name, labels))


def normalise(weights: Integers, feasible: Integers) -> Integers:
    best = int(weights[feasible].max())
    return weights if best == 0 else 100 * weights // best


def matches(term: Term, name: str, labels: Mapping[str, str]) -> bool:
    """A term without any requirement matches nothing."""
    if not term.labels and not term.fields:
        return False
    fields = {"metadata.name": name}
    return all(_holds(labels, *requirement) for requirement in term.labels) and all(
        _holds(fields, *requirement) for requirement in term.fields
    )


def _holds(labels: Mapping[str, str], key: str, operator: str, values: tuple[str, ...]) -> bool:
    value = labels.get(key)
    return OPERATORS[operator](value, values)


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _compare(value: str | None, values: tuple[str, ...], sign: int) -> bool:
    have, want = _number(value), _number(values[0] if values else None)
    return have is not None and want is not None and (have - want) * sign > 0


OPERATORS: Mapping[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
    "Gt": lambda value, values: _compare(value, values, 1),
    "Lt": lambda value, values: _compare(value, values, -1),
}
