"""How the engine logs: to standard error, one line an event; and the story's steps, which `make demo` retells."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

STORY = logging.getLogger("engine.story")


def step(number: int, component: str, *, saw: str = "", through: str = "", wrote: str = "", count: int = 1) -> None:
    """Tells one step of a pod's way: 1 stored, 2 controllers, 3 scheduler, 4 kubelet, 5 the reads that cost no request.

    Once per batch, never per object: `count` says for how many objects the named one stands.
    """
    if STORY.isEnabledFor(logging.INFO):
        told = {"step": number, "component": component, "saw": saw, "through": through, "wrote": wrote, "count": count}
        told = {name: value for name, value in told.items() if value not in ("", None)}
        words = ", ".join(f"{name} {told[name]}" for name in ("saw", "through", "wrote") if name in told)
        more = f" (+{count - 1} more)" if count > 1 else ""
        STORY.info("%s: %s%s", component, words, more, extra={"fields": told})


class TextFormatter(logging.Formatter):
    """`2026-11-23T10:00:00.123Z I engine.scheduler message`."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_rfc3339(record.created)} {record.levelname[0]} {record.name} {record.getMessage()}"
        return head + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


class JsonFormatter(logging.Formatter):
    """The same as one JSON object a line, with the story's fields beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"time": _rfc3339(record.created), "level": record.levelname, "logger": record.name}
        line["message"] = record.getMessage()
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(*, level: str = "info", format: str = "text") -> None:
    """Sends the engine's log to standard error. `level` is a logging level's name, `format` is text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger("engine")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(level.upper())


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
