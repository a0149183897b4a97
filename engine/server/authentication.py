"""Who asks: bearer tokens and client certificates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from engine.api.errors import StatusError
from engine.server.request import User

AUTHENTICATED = "system:authenticated"


class Authenticator:
    """Knows bearer tokens. It keeps their digests, so that neither a dump nor the time of a comparison tells one."""

    def __init__(self, tokens: Mapping[str, User] | None = None) -> None:
        self._users: dict[bytes, User] = {}
        for token, user in (tokens or {}).items():
            self.add(token, user)

    def add(self, token: str, user: User) -> None:
        """From now on `token` is `user`, who is also in the group of all authenticated users."""
        groups = user.groups if AUTHENTICATED in user.groups else (*user.groups, AUTHENTICATED)
        self._users[_digest(token)] = User(user.name, groups)

    def authenticate(self, headers: Mapping[str, str]) -> User | None:
        """None when the headers name nobody or a token that is unknown."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self._users.get(_digest(token.strip())) if scheme.lower() == "bearer" and token else None


def user_of_certificate(certificate: Mapping[str, Any] | None) -> User | None:
    """The user that a verified client certificate (as `ssl.SSLSocket.getpeercert` gives it) stands for: its common
    name, in the groups that its organizations name."""
    name = ""
    groups: list[str] = []
    for part in (certificate or {}).get("subject", ()):
        for field, value in part:
            if field == "commonName":
                name = value
            elif field == "organizationName":
                groups.append(value)
    return User(name, (*groups, AUTHENTICATED)) if name else None


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
