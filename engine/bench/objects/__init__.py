"""Objects as real clusters have them, as JSON bytes, the same for the same seed."""

from engine.bench.objects.changes import life, status_changed, successor
from engine.bench.objects.hostile import deep, large, unicode_heavy, unique
from engine.bench.objects.kinds import custom_resources, deployments, nodes
from engine.bench.objects.pods import pods

__all__ = [
    "custom_resources",
    "deep",
    "deployments",
    "large",
    "life",
    "nodes",
    "pods",
    "status_changed",
    "successor",
    "unicode_heavy",
    "unique",
]
