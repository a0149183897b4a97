"""Local caches of resources, kept current by list and watch, and what their consumers are told."""

from engine.informers.informer import Change, Informer, Informers, Subscription
from engine.informers.reflector import strip_managed_fields

__all__ = ["Change", "Informer", "Informers", "Subscription", "strip_managed_fields"]
