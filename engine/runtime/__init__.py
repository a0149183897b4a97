"""What controllers are made of: the loop over keys, the event recorder, and running parts together."""

from engine.runtime.component import run_all
from engine.runtime.controller import Controller, Requeue, Source, controller_of, own_key
from engine.runtime.events import EventRecorder

__all__ = ["Controller", "EventRecorder", "Requeue", "Source", "controller_of", "own_key", "run_all"]
