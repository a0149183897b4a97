"""The API for programs: the verbs, and the ways to a server. aiohttp is loaded by the first request over HTTPS."""

from engine.client.client import Client
from engine.client.https import HTTPSTransport
from engine.client.kubeconfig import ClusterConfig, ConfigError, in_cluster, load
from engine.client.local import LocalTransport

__all__ = ["Client", "ClusterConfig", "ConfigError", "HTTPSTransport", "LocalTransport", "in_cluster", "load"]
