"""Where a cluster is and who one is there: kubeconfig files, and what a pod finds about its own cluster."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TOKEN_SECONDS = 60.0  # how long a token read from a file is used before the file is looked at again
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(ValueError):
    """A configuration that cannot be used; one line that names the file and the field."""


@dataclass(slots=True)
class TokenFile:
    """A bearer token that somebody else renews on disk."""

    path: Path
    _token: str = ""
    _read_at: float = -TOKEN_SECONDS

    def read(self, *, now: float | None = None, fresh: bool = False) -> str:
        """The token; the file is read again once a minute, or at once when `fresh`. Raises ConfigError when it can't be
        read and never was."""
        now = time.monotonic() if now is None else now
        if fresh or now - self._read_at >= TOKEN_SECONDS:
            try:
                self._token = self.path.read_text().strip()
                self._read_at = now
            except OSError as error:
                if not self._token:
                    raise ConfigError(f"{self.path}: cannot read the token: {error.strerror}") from error
        return self._token


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """One way to one cluster."""

    server: str  # https://host:port, perhaps with a path
    ca: bytes = b""  # PEM; empty: the system's authorities
    insecure: bool = False  # the server's certificate is not checked
    tls_server_name: str = ""
    client_certificate: bytes = b""  # PEM
    client_key: bytes = field(default=b"", repr=False)  # PEM
    token: str = field(default="", repr=False)
    token_file: TokenFile | None = None
    namespace: str = "default"

    def bearer(self, *, fresh: bool = False) -> str:
        """The bearer token of now, "" for none."""
        return self.token_file.read(fresh=fresh) if self.token_file is not None else self.token

    def ssl_context(self) -> ssl.SSLContext | None:
        """None for a server without TLS. Raises ConfigError for certificates that cannot be used."""
        if not self.server.startswith("https:"):
            return None
        try:
            context = ssl.create_default_context(cadata=self.ca.decode("ascii") if self.ca else None)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(f"certificate-authority: no PEM certificate: {error}") from error
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate:
            _load_client_certificate(context, self.client_certificate, self.client_key)
        return context


def _load_client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # OpenSSL's loader takes files only: one that nobody else can read, gone right after.
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        path = Path(folder) / "client.pem"
        path.touch(mode=0o600)
        path.write_bytes(certificate.rstrip() + b"\n" + key)
        try:
            context.load_cert_chain(path)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"client-certificate, client-key: not a certificate and its key: {error}") from error


def load(path: str | Path | None = None, *, context: str | None = None) -> ClusterConfig:
    """The configuration of a kubeconfig file: `path`, else the first of $KUBECONFIG, else ~/.kube/config; where no path
    is given and there is no such file, that of the pod around us. `context` overrides current-context.

    Raises ConfigError.
    """
    if path is None:
        named = next((part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part), "")
        path = Path(named) if named else Path.home() / ".kube" / "config"
        if not named and not path.exists() and "KUBERNETES_SERVICE_HOST" in os.environ:
            return in_cluster()
    return _Kubeconfig(Path(path)).config(context)


def in_cluster(folder: Path = SERVICE_ACCOUNT, environ: Mapping[str, str] = os.environ) -> ClusterConfig:
    """What the kubelet gives each pod: the service's address, the service account's token, the cluster's authority."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise ConfigError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: not in a cluster")
    token = TokenFile(folder / "token")
    token.read()
    namespace = folder / "namespace"
    return ClusterConfig(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca=_read(folder / "ca.crt", folder, "ca.crt"),
        token_file=token,
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


class _Kubeconfig:
    """One parsed file; relative paths in it are relative to its folder."""

    def __init__(self, path: Path) -> None:
        import yaml

        self.path = path
        try:
            document = yaml.safe_load(path.read_text())
        except OSError as error:
            raise ConfigError(f"{path}: cannot read the kubeconfig: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(document, dict):
            raise ConfigError(f"{path}: not a kubeconfig")
        self.document: dict[str, Any] = document

    def config(self, context_name: str | None) -> ClusterConfig:
        if context_name is None:
            context_name = self._text(self.document, "current-context", "current-context")
        if not context_name:
            raise ConfigError(f"{self.path}: current-context is not set")
        context = self._named("contexts", "context", context_name)
        where = f"contexts[{context_name}].context"
        cluster_name = self._text(context, "cluster", f"{where}.cluster")
        if not cluster_name:
            raise ConfigError(f"{self.path}: {where}.cluster is not set")
        user_name = self._text(context, "user", f"{where}.user")
        cluster = self._named("clusters", "cluster", cluster_name)
        user = self._named("users", "user", user_name) if user_name else {}
        at_cluster, at_user = f"clusters[{cluster_name}].cluster", f"users[{user_name}].user"
        certificate = self._data(user, "client-certificate", at_user)
        key = self._data(user, "client-key", at_user)
        if bool(certificate) != bool(key):
            missing = "client-key" if certificate else "client-certificate"
            raise ConfigError(f"{self.path}: {at_user}.{missing} is not set, but its other half is")
        token = self._text(user, "token", f"{at_user}.token")
        token_file = None
        # The file wins over the text, as everywhere in Kubernetes: whoever renews the token renews the file.
        if token_path := self._text(user, "tokenFile", f"{at_user}.tokenFile"):
            token_file = TokenFile(self.path.parent / token_path)
        return ClusterConfig(
            server=self._server(cluster, at_cluster),
            ca=self._data(cluster, "certificate-authority", at_cluster),
            insecure=self._flag(cluster, "insecure-skip-tls-verify", at_cluster),
            tls_server_name=self._text(cluster, "tls-server-name", f"{at_cluster}.tls-server-name"),
            client_certificate=certificate,
            client_key=key,
            token=token,
            token_file=token_file,
            namespace=self._text(context, "namespace", f"{where}.namespace") or "default",
        )

    def _named(self, section: str, field: str, name: str) -> dict[str, Any]:
        entries = self.document.get(section) or []
        if not isinstance(entries, list):
            raise ConfigError(f"{self.path}: {section} is not a list")
        for entry in entries:
            if isinstance(entry, dict) and entry.get("name") == name:
                value = entry.get(field) or {}
                if not isinstance(value, dict):
                    raise ConfigError(f"{self.path}: {section}[{name}].{field} is not a mapping")
                return value
        raise ConfigError(f"{self.path}: {section} has no entry named {name}")

    def _server(self, cluster: dict[str, Any], where: str) -> str:
        server = self._text(cluster, "server", f"{where}.server")
        if not server:
            raise ConfigError(f"{self.path}: {where}.server is not set")
        parts = urlsplit(server)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"{self.path}: {where}.server is no http or https URL: {server}")
        return server.rstrip("/")

    def _text(self, entry: dict[str, Any], field: str, where: str) -> str:
        value = entry.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ConfigError(f"{self.path}: {where} is not a string")
        return value

    def _flag(self, entry: dict[str, Any], field: str, where: str) -> bool:
        value = entry.get(field, False)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.path}: {where}.{field} is not true or false")
        return value

    def _data(self, entry: dict[str, Any], field: str, where: str) -> bytes:
        """`FIELD-data` in base64, else the content of the file that `FIELD` names; b"" for neither."""
        if inline := self._text(entry, f"{field}-data", f"{where}.{field}-data"):
            try:
                return base64.b64decode(inline, validate=True)
            except binascii.Error as error:
                raise ConfigError(f"{self.path}: {where}.{field}-data is not base64") from error
        name = self._text(entry, field, f"{where}.{field}")
        return _read(self.path.parent / name, self.path, f"{where}.{field}") if name else b""


def _read(file: Path, config: Path, where: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{config}: {where}: cannot read {file}: {error.strerror}") from error
