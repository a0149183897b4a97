"""What the scheduler asks of a pod, taken out once: pods that ask the same are one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine._object import Object
from engine.api.quantity import milli, whole

DEFAULT_CPU_MILLI = 100  # what scoring counts for a container that asks for no cpu
DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024  # likewise for memory
BASIC = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Requests:
    """A pod's resources: cpu in milli-units, the rest in whole units; `scored_*` with the defaults filled in."""

    cpu: int = 0
    memory: int = 0
    ephemeral_storage: int = 0
    extended: tuple[tuple[str, int], ...] = ()
    scored_cpu: int = 0
    scored_memory: int = 0


@dataclass(frozen=True, slots=True)
class Toleration:
    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: Mapping[str, str]) -> bool:
        """Kubernetes' rule: an empty effect or key matches all, Exists ignores the value."""
        if self.effect and self.effect != taint.get("effect"):
            return False
        if self.key and self.key != taint.get("key"):
            return False
        return self.operator == "Exists" or (bool(self.key) and self.value == taint.get("value", ""))


@dataclass(frozen=True, slots=True)
class Term:
    """A node selector term: all its requirements must hold; `fields` are about metadata.name."""

    labels: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    fields: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Preference:
    weight: int
    term: Term


@dataclass(frozen=True, slots=True)
class PodClass:
    """All that decides where a pod may go and where it goes best, but for what is already placed."""

    requests: Requests
    node_name: str = ""
    node_selector: tuple[tuple[str, str], ...] = ()
    required: tuple[Term, ...] | None = None  # None: no required affinity; (): nothing matches
    preferred: tuple[Preference, ...] = ()
    tolerations: tuple[Toleration, ...] = field(default=())


def classify(pod: Object) -> PodClass:
    """The class of a pod. Pods of one template are equal here, whatever their names."""
    spec = pod.peek().get("spec") or {}
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = None if required is None else tuple(_term(term) for term in required.get("nodeSelectorTerms") or ())
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return PodClass(
        requests=requests_of(spec),
        node_name=spec.get("nodeName", ""),
        node_selector=tuple(sorted((spec.get("nodeSelector") or {}).items())),
        required=terms,
        preferred=tuple(Preference(entry["weight"], _term(entry["preference"])) for entry in preferred),
        tolerations=tuple(_toleration(toleration) for toleration in spec.get("tolerations") or ()),
    )


def requests_of(spec: Mapping[str, Any]) -> Requests:
    """The sum over the containers; at least the largest init container; sidecars (init containers that always restart)
    count with the containers and with the init containers after them; overhead on top."""
    total: dict[str, int] = {}
    scored: dict[str, int] = {}
    for container in spec.get("containers") or ():
        _add(total, _container(container, fill=False))
        _add(scored, _container(container, fill=True))
    for sums, fill in ((total, False), (scored, True)):
        sidecars: dict[str, int] = {}
        largest: dict[str, int] = {}
        for container in spec.get("initContainers") or ():
            asked = _container(container, fill=fill)
            if container.get("restartPolicy") == "Always":
                _add(sums, asked)
                _add(sidecars, asked)
                asked = sidecars
            else:
                _add(asked, sidecars)
            _at_least(largest, asked)
        _at_least(sums, largest)
        for name, quantity in (spec.get("overhead") or {}).items():
            sums[name] = sums.get(name, 0) + _amount(name, quantity)
    extended = tuple(sorted((name, amount) for name, amount in total.items() if name not in BASIC and amount))
    return Requests(
        total.get("cpu", 0),
        total.get("memory", 0),
        total.get("ephemeral-storage", 0),
        extended,
        scored.get("cpu", 0),
        scored.get("memory", 0),
    )


def _container(container: Mapping[str, Any], *, fill: bool) -> dict[str, int]:
    asked = (container.get("resources") or {}).get("requests") or {}
    amounts = {name: _amount(name, quantity) for name, quantity in asked.items()}
    if fill:
        amounts.setdefault("cpu", DEFAULT_CPU_MILLI)
        amounts.setdefault("memory", DEFAULT_MEMORY_BYTES)
    return amounts


def _amount(name: str, quantity: Any) -> int:
    return milli(quantity) if name == "cpu" else whole(quantity)


def _add(sums: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        sums[name] = sums.get(name, 0) + amount


def _at_least(sums: dict[str, int], floor: Mapping[str, int]) -> None:
    for name, amount in floor.items():
        sums[name] = max(sums.get(name, 0), amount)


def _term(term: Mapping[str, Any]) -> Term:
    return Term(_requirements(term.get("matchExpressions")), _requirements(term.get("matchFields")))


def _requirements(entries: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return tuple((entry["key"], entry["operator"], tuple(entry.get("values") or ())) for entry in entries or ())


def _toleration(entry: Mapping[str, Any]) -> Toleration:
    operator = entry.get("operator") or "Equal"
    return Toleration(entry.get("key", ""), operator, entry.get("value", ""), entry.get("effect", ""))
