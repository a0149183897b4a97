"""Where etcd is reached: `http://host:port` or `host:port`."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORT = 2379


def address_of(endpoint: str) -> tuple[str, int]:
    """Host and port. ValueError for what is no endpoint, TLS included: the connection is plain."""
    refusal = f"etcd endpoint {endpoint!r} is not of the form http://host:port"
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"http://{endpoint}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(refusal) from None
    if parts.scheme != "http" or not host:
        raise ValueError(refusal)
    return host, port or DEFAULT_PORT
