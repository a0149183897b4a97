"""Container logs: the request checked, the bytes from whoever runs the pod."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine._object import Object
from engine.api import timestamps
from engine.api.errors import Cause, bad_request, invalid
from engine.server.selection import TRUE, whole_number

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """PodLogOptions. None and "" mean that nothing was said."""

    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since_seconds: int | None = None
    since_time: str = ""


class LogBroken(OSError):
    """A log that ended in the middle, since whoever read it is gone."""


class LogSource(Protocol):
    """Whoever can read the logs of running containers."""

    async def open(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        """The log as chunks of bytes; with `follow` it ends when the container does. Raises StatusError when there is
        none (400: the container is waiting to start), and LogBroken from the iterator."""


def log_options(pod: Object, query: Mapping[str, str]) -> LogOptions:
    """Raises StatusError 400 when the container is not one of the pod's, 422 for options that contradict themselves."""
    options = LogOptions(
        _container(pod, query.get("container", "")),
        query.get("follow", "") in TRUE,
        query.get("previous", "") in TRUE,
        query.get("timestamps", "") in TRUE,
        _count(query, "tailLines", 0),
        _count(query, "limitBytes", 1),
        _count(query, "sinceSeconds", 1),
        query.get("sinceTime", ""),
    )
    if options.since_time:
        try:
            timestamps.parse(options.since_time)
        except ValueError as error:
            raise bad_request(str(error)) from None
    if options.since_seconds is not None and options.since_time:
        why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        raise invalid("", "PodLogOptions", pod.name, [Cause("FieldValueForbidden", "", why)])
    return options


def _container(pod: Object, asked: str) -> str:
    spec = pod.peek().get("spec", {})
    names = [container["name"] for container in spec.get("containers", ())]
    initial = [container["name"] for container in spec.get("initContainers", ())]
    if asked:
        if asked not in (*names, *initial):
            raise bad_request(f"container {asked} is not valid for pod {pod.name}")
        return asked
    if len(names) == 1 and not initial:
        return str(names[0])
    default = pod.annotations.get(DEFAULT_CONTAINER, "")
    if default in names:
        return default
    if len(names) == 1:
        return str(names[0])
    shown = f"a container name must be specified for pod {pod.name}, choose one of: [{' '.join(names)}]"
    raise bad_request(shown + (f" or one of the init containers: [{' '.join(initial)}]" if initial else ""))


def _count(query: Mapping[str, str], name: str, least: int) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    count = whole_number(text)
    if count < least:
        why = f"Invalid value: {text}: must be greater than or equal to {least}"
        raise invalid("", "PodLogOptions", "", [Cause("FieldValueInvalid", name, why)])
    return count
