"""Requests as bytes on a TLS connection: what no polite client can send, and answers with all their headers."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from engine.server.certificates import Certificates
from engine.server.request import User
from tests.e2e.conftest import Cluster

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def warnings(self) -> list[str]:
        return self.headers.get_all("Warning") or []


class Wire:
    """Connections to a control plane, with the administrator's token unless other credentials are named."""

    def __init__(self, cluster: Cluster) -> None:
        self._pki = cluster.folder / "data" / "pki"
        address = urlsplit(yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
        self.host, self.port = address.hostname or "", address.port or 443
        self.context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        self.authorization = f"Bearer {Certificates(self._pki).token}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        media: str = "application/json",
        context: ssl.SSLContext | None = None,
        **headers: str,
    ) -> Answer:
        """One request on a connection of its own. `body` that is no bytes is sent as JSON."""
        connection = http.client.HTTPSConnection(
            self.host, self.port, context=context or self.context, timeout=TIMEOUT_SECONDS
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if context is None:
            named.setdefault("Authorization", self.authorization)
        if body is not None:
            named["Content-Type"] = media
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, body=data, headers=named)
            got = connection.getresponse()
            return Answer(got.status, got.headers, got.read())
        finally:
            connection.close()

    def open(self) -> ssl.SSLSocket:
        """A connection that has said nothing yet."""
        plain = socket.create_connection((self.host, self.port), timeout=TIMEOUT_SECONDS)
        return self.context.wrap_socket(plain, server_hostname=self.host)

    def head(self, method: str, path: str, *lines: str, version: str = "1.1") -> bytes:
        """A request's line and headers, ready to be followed by a body."""
        told = [f"{method} {path} HTTP/{version}", f"Host: {self.host}", f"Authorization: {self.authorization}", *lines]
        return ("\r\n".join(told) + "\r\n\r\n").encode()

    def exchange(self, data: bytes) -> bytes:
        """All that the server says to these bytes until it closes; b"" when it just closes."""
        with self.open() as connection:
            try:
                connection.sendall(data)
                return read_all(connection)
            except (ConnectionError, ssl.SSLError):
                return b""

    def identity(self, user: User) -> ssl.SSLContext:
        """A client certificate that the control plane's own authority signed for `user`."""
        return self.identity_of(Certificates(self._pki), user)

    def identity_of(self, authority: Certificates, user: User) -> ssl.SSLContext:
        """A context that trusts the control plane and shows a certificate that `authority` signed."""
        context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        context.load_cert_chain(*authority.client(user))
        return context


def read_all(connection: ssl.SSLSocket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def read_answer(connection: ssl.SSLSocket, method: str = "GET") -> Answer:
    """The next answer on a connection."""
    got = http.client.HTTPResponse(connection, method=method)
    got.begin()
    return Answer(got.status, got.headers, got.read())


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096
