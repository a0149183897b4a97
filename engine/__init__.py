"""Kubernetes' control loop as a Python library and as a one-command control plane.

What stands here is stable; modules whose names start with an underscore may change any day.
"""

from engine._cache import Cache
from engine._object import Object
from engine._ring import Event
from engine._selectors import FieldSelector, LabelSelector
from engine._watchlog import Cursor, Expired, WatchLog
from engine._workqueue import WorkQueue

__version__ = "0.1.0"

__all__ = [
    "Cache",
    "Cursor",
    "Event",
    "Expired",
    "FieldSelector",
    "LabelSelector",
    "Object",
    "WatchLog",
    "WorkQueue",
    "__version__",
]
