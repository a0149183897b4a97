"""The suite `core`: what the cache and the watch log are held to. A measure is a file, or a function in one."""

from __future__ import annotations

from engine.bench.core import apply, collector, fanout, get, growth, ingest, lists, memory, paths
from engine.bench.core.settings import CoreSettings
from engine.bench.figure import Measure

MEASURES: tuple[Measure[CoreSettings], ...] = (
    Measure("memory", "bytes per pod, all in; RSS growth; dictionary compression beside", memory.kept),
    Measure("churn", "the same after status changes, deletes, creates and churn, over before", memory.after_churn),
    Measure(
        "deletes", "bytes kept when nine of ten pods are gone, over a fresh cache of the others", memory.after_deletes
    ),
    Measure("hostile", "bytes kept of objects with nothing in common, over their JSON", memory.nothing_in_common),
    Measure("ingest", "list into an indexed cache, against orjson and dict", ingest.ingest),
    Measure("get", "get and get_many by key at random, against dict", get.get),
    Measure("lists", "500 of a namespace, 100 hits of a two-label selector, each name read", lists.lists),
    Measure("paths", "get_path: a column, another path at first touch and again", paths.paths),
    Measure("apply", "batches of updates into a cache with all indexes and a log", apply.updates),
    Measure("fanout", "deliveries to many cursors, appends beside many cursors, memory", fanout.fanout),
    Measure("collector", "a full garbage collection with the pods held, less one without", collector.pause),
    Measure("growth", "get, apply and list at 500 times the objects, over the smallest; plotted", growth.growth),
    Measure("fit", "twenty times the pods in one cache, in use", memory.fit, by_default=False),
)

__all__ = ["MEASURES", "CoreSettings"]
