"""Interface of the event recorder."""

from __future__ import annotations

from engine._object import Object
from engine.client.client import Client


class EventRecorder:
    """Writes core/v1 Events about objects; repeats within 10 minutes are counted on one Event, not created again.

    `record` never waits and never raises: events are sent in batches in the background, at most 1,000 wait, and what is
    over that bound is dropped and counted.
    """

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        raise NotImplementedError

    def record(self, about: Object, type: str, reason: str, message: str) -> None:
        """`type` is Normal or Warning."""
        raise NotImplementedError

    async def run(self) -> None:
        raise NotImplementedError
