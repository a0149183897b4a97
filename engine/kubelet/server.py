"""The kubelet's own HTTPS endpoint: where the API server asks for what only the node has."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from engine._object import Object
from engine.api.errors import StatusError
from engine.server.authorization import MASTERS
from engine.server.certificates import self_signed
from engine.server.http import HTTPServer
from engine.server.nodelogs import KUBELET_CLIENT
from engine.server.podlogs import LogSource, log_options
from engine.server.request import Request, Response, User

LOG = logging.getLogger(__name__)
TEXT = "text/plain; charset=utf-8"
FOLLOWERS_SECONDS = 0.5  # for those who follow containers that have just ended to read the last lines

FindPod = Callable[[str], Object | None]


class KubeletServer:
    """`GET /containerLogs/NAMESPACE/POD/CONTAINER` with PodLogOptions as its query, and `/healthz`.

    It answers the API server and administrators only, who come with a client certificate that `client_ca` (PEM) signed;
    without one it is 401, with another user's 403. Its own certificate vouches for itself and is kept in `directory`.
    The address is taken here and is served from `start` to `stop`.
    """

    def __init__(self, listen: tuple[str, int], directory: Path, client_ca: bytes, logs: LogSource) -> None:
        """Port 0 takes a free one. Raises OSError when the address cannot be had or the directory not be written."""
        host, port = listen
        self._logs = logs
        self._find: FindPod = lambda key: None
        self._front = HTTPServer(self, _context(directory, host, client_ca))
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self.host: str
        self.port: int
        self.host, self.port = self._socket.getsockname()[:2]

    async def start(self, find: FindPod) -> None:
        """`find` gives the pod of a key ("namespace/name") that is bound to one of the nodes."""
        self._find = find
        await self._front.start_on(self._socket)
        LOG.info("serving on https://%s:%d", self.host, self.port)

    async def stop(self) -> None:
        await self._front.stop(streams_seconds=FOLLOWERS_SECONDS)
        self._socket.close()

    def authenticate(self, headers: Mapping[str, str]) -> User | None:
        """Only a certificate names somebody here."""
        return None

    async def handle(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except StatusError as refusal:
            return _text(refusal.code, refusal.message)
        except Exception as error:
            LOG.exception("%s %s failed", request.method, request.path)
            return _text(500, f"{type(error).__name__}: {error}")

    async def _answer(self, request: Request) -> Response:
        if request.user is None:
            return _text(401, "Unauthorized")
        if not _may(request.user):
            verb = request.method.lower()
            return _text(403, f"Forbidden (user={request.user.name}, verb={verb}, resource=nodes, subresource=proxy)")
        match request.path.strip("/").split("/"):
            case ["healthz"]:
                return _text(200, "ok")
            case ["containerLogs", namespace, pod, container] if request.method == "GET":
                return await self._container_logs(request, namespace, pod, container)
            case ["containerLogs", *_] if request.method != "GET":
                return _text(405, "405: Method Not Allowed")
        return _text(404, "404 page not found")

    async def _container_logs(self, request: Request, namespace: str, name: str, container: str) -> Response:
        pod = self._find(f"{namespace}/{name}")
        if pod is None:
            return _text(404, f'pod "{name}" does not exist')
        spec = pod.peek()["spec"]
        if container not in (c["name"] for c in (*spec["containers"], *(spec.get("initContainers") or ()))):
            return _text(404, f'container "{container}" not found in pod "{name}"')
        options = log_options(pod, {**dict(request.query), "container": container})
        return Response(200, await self._logs.open(pod, options), TEXT)


def _may(user: User) -> bool:
    return user.name == KUBELET_CLIENT.name or MASTERS in user.groups


def _context(directory: Path, host: str, client_ca: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*self_signed(directory / "kubelet", [host]))
    if client_ca:
        context.load_verify_locations(cadata=client_ca.decode("ascii"))
        context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def _text(code: int, text: str) -> Response:
    return Response(code, text.encode(), TEXT)
