"""What the server counts, under Kubernetes' own names."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from engine.server.request import Response

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
LONG_RUNNING = ("WATCH", "CONNECT")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sizes = Callable[[], Iterable[tuple[str, int]]]


class Metrics(Collector):
    """Counts in plain dicts; the families are made when somebody reads them."""

    def __init__(self, sizes: Sizes) -> None:
        """`sizes` tells how many objects each resource has."""
        self._sizes = sizes
        self._requests: dict[tuple[str, str, int], int] = {}
        self._asked: dict[tuple[str, str, str], int] = {}
        self._durations: dict[tuple[str, str], list[float]] = {}  # one count per bucket, then the sum of seconds
        self._running: dict[tuple[str, str], int] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def observe(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """One answered request. Verbs are as Kubernetes counts them: GET, LIST, WATCH, POST, PUT, PATCH, DELETE, …"""
        counted = (verb, resource, code)
        self._requests[counted] = self._requests.get(counted, 0) + 1
        if verb not in LONG_RUNNING:
            buckets = self._durations.get((verb, resource))
            if buckets is None:
                buckets = self._durations[verb, resource] = [0.0] * (len(BUCKETS) + 2)
            buckets[bisect_left(BUCKETS, seconds)] += 1
            buckets[-1] += seconds

    def asked(self, client: str, verb: str, resource: str) -> None:
        """One request for a resource, over HTTPS or in this process. `client` is component or person."""
        counted = (client, verb, resource)
        self._asked[counted] = self._asked.get(counted, 0) + 1

    def running(self, verb: str, resource: str, change: int) -> None:
        """A long-running request has begun (1) or ended (-1)."""
        self._running[verb, resource] = self._running.get((verb, resource), 0) + change

    def open_requests(self, verb: str, resource: str) -> int:
        """How many long-running requests there are."""
        return self._running.get((verb, resource), 0)

    def answer(self) -> Response:
        return Response(200, generate_latest(self._registry), CONTENT_TYPE)

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        requests = CounterMetricFamily(
            "apiserver_request_total", "Requests by verb, resource and code.", labels=("verb", "resource", "code")
        )
        for (verb, resource, code), count in self._requests.items():
            requests.add_metric((verb, resource, str(code)), count)
        yield requests
        asked = CounterMetricFamily(
            "engine_api_requests_total",
            "Requests for resources, those of the programs in this process included.",
            labels=("client", "verb", "resource"),
        )
        for labels, count in self._asked.items():
            asked.add_metric(labels, count)
        yield asked
        durations = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "Time to answer, long-running requests aside.",
            labels=("verb", "resource"),
        )  # fmt: skip
        for (verb, resource), buckets in self._durations.items():
            total = 0.0
            told: list[tuple[str, float]] = []
            for bound, within in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=False):
                total += within
                told.append((bound, total))
            durations.add_metric((verb, resource), told, buckets[-1])
        yield durations
        running = GaugeMetricFamily(
            "apiserver_longrunning_requests", "Watches and logs that are open.", labels=("verb", "resource")
        )
        for (verb, resource), open_now in self._running.items():
            running.add_metric((verb, resource), open_now)
        yield running
        objects = GaugeMetricFamily("apiserver_resource_objects", "Stored objects.", labels=("resource",))
        for resource, size in self._sizes():
            objects.add_metric((resource,), size)
        yield objects
