"""The suites by name, and running one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from engine.bench import core
from engine.bench.figure import Figure, Measure

SUITES: Mapping[str, tuple[Measure[core.CoreSettings], ...]] = {"core": core.MEASURES}


def run(
    suite: str, wanted: Collection[str], settings: core.CoreSettings, begun: Callable[[str], None]
) -> Iterator[Figure]:
    """The figures of the measures that are wanted, or of those that run by default when none is named, as they come.
    `begun` is told each measure's name before it starts. KeyError for an unknown suite; ValueError, before anything
    runs, for a measure that it has not."""
    measures = SUITES[suite]
    unknown = sorted(set(wanted) - {measure.name for measure in measures})
    if unknown:
        known = ", ".join(measure.name for measure in measures)
        raise ValueError(f"{suite} has no measure {unknown[0]!r}; it has {known}")
    return _figures([one for one in measures if (one.name in wanted if wanted else one.by_default)], settings, begun)


def _figures(
    measures: Collection[Measure[core.CoreSettings]], settings: core.CoreSettings, begun: Callable[[str], None]
) -> Iterator[Figure]:
    for measure in measures:
        begun(measure.name)
        yield from measure.run(settings)
