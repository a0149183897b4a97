"""Logs of containers on other machines: asked of the kubelet of the pod's node, over HTTPS."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from yarl import URL

from engine._object import Object
from engine.api.errors import StatusError, bad_request, not_found
from engine.api.resource import NODES
from engine.server.podlogs import LogBroken, LogOptions, LogSource
from engine.server.refusals import internal_error
from engine.server.request import User
from engine.storage.store import Store

if TYPE_CHECKING:
    import aiohttp

KUBELET_CLIENT = User("kube-apiserver-kubelet-client", ("system:masters",))  # who an API server is to kubelets
DEFAULT_PORT = 10250  # of a node that does not say
ADDRESS_TYPES = ("InternalIP", "ExternalIP", "Hostname")  # the first that a node has is where its kubelet is reached
CONNECT_SECONDS = 5.0  # to connect, TLS included
ANSWER_SECONDS = 30.0  # until an answer begins; how long it then takes is the container's affair
MAX_REFUSAL_BYTES = 50_000
_ANSWERS = {
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", "{text}"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
}
_OTHERS = {
    True: ("InternalError", 'an error on the server ("{text}") has prevented the request from succeeding'),
    False: ("", "the server responded with the status code {code} but did not return more information"),
}


class NodeLogs:
    """Answers `pods/log` by asking kubelets.

    A node says in its status where its kubelet is. The server proves itself with a client certificate
    (kube-apiserver's --kubelet-client-certificate); the kubelet's serving certificate is not verified, as with
    kube-apiserver unless it is given a --kubelet-certificate-authority: kubelets sign their own.
    """

    def __init__(self, store: Store, certificate: Path, key: Path) -> None:
        """Raises OSError for a certificate that cannot be used. Connects with the first request."""
        self._nodes = store.table(NODES).cache
        self._direct: dict[str, LogSource] = {}
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._context.load_cert_chain(certificate, key)
        self._opened: aiohttp.ClientSession | None = None

    def direct(self, nodes: Iterable[str], source: LogSource) -> None:
        """These nodes' kubelet is in this process: `source` answers for them."""
        self._direct.update(dict.fromkeys(nodes, source))

    async def open(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        """The kubelet's answer as it comes. StatusError with Kubernetes' codes for what the kubelet refuses, and 500
        for a node that cannot be reached; LogBroken from the iterator when the kubelet goes away."""
        node = pod.peek()["spec"]["nodeName"]
        if node in self._direct:
            return await self._direct[node].open(pod, options)
        path = f"/containerLogs/{pod.namespace}/{pod.name}/{options.container}"
        url = URL.build(scheme="https", authority=self._authority(node), path=path, query=_query(options))
        response = await self._get(url)
        if response.status == 200:
            return _Log(response, node)
        async with response:
            text = await _told(response)
        raise _refusal(response.status, text, pod.name)

    async def close(self) -> None:
        """Ends every log under way."""
        if self._opened is not None:
            await self._opened.close()

    def _authority(self, name: str) -> str:
        """HOST:PORT of a node's kubelet."""
        node = self._nodes.get(name)
        if node is None:
            raise not_found("", "nodes", name)
        status = node.peek().get("status") or {}
        addresses = {entry["type"]: entry["address"] for entry in reversed(status.get("addresses") or ())}
        host = next((addresses[type_] for type_ in ADDRESS_TYPES if addresses.get(type_)), "")
        if not host:
            known = " ".join(f"{{{type_} {address}}}" for type_, address in addresses.items())
            raise StatusError(500, "", f"no preferred addresses found; known addresses: [{known}]")
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or DEFAULT_PORT
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def _get(self, url: URL) -> aiohttp.ClientResponse:
        import aiohttp

        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                # No limit: every log that is followed holds a connection, and the requests for logs are the bound.
                connector=aiohttp.TCPConnector(limit=0, ssl=self._context),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._opened.get(url, allow_redirects=False)
        except (aiohttp.ClientError, OSError) as error:
            raise StatusError(500, "", f'Get "{url}": {_reason(error, url)}') from error


class _Log:
    """The body of an answer. Whoever stops before its end calls `aclose`."""

    def __init__(self, response: aiohttp.ClientResponse, node: str) -> None:
        self._response = response
        self._node = node

    def __aiter__(self) -> _Log:
        return self

    async def __anext__(self) -> bytes:
        import aiohttp

        try:
            chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            why = "unexpected EOF" if isinstance(error, aiohttp.ClientPayloadError) else error or type(error).__name__
            raise LogBroken(f"the kubelet of node {self._node}: {why}") from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        self._response.close()


def _query(options: LogOptions) -> dict[str, str]:
    """What was said of PodLogOptions; the container is in the path."""
    flags = {"follow": options.follow, "previous": options.previous, "timestamps": options.timestamps}
    numbers = {
        "limitBytes": options.limit_bytes,
        "sinceSeconds": options.since_seconds,
        "tailLines": options.tail_lines,
    }
    query = {name: "true" for name, value in flags.items() if value}
    query.update({name: str(value) for name, value in numbers.items() if value is not None})
    if options.since_time:
        query["sinceTime"] = options.since_time
    return query


async def _told(response: aiohttp.ClientResponse) -> str:
    """What a kubelet says with its refusal."""
    import aiohttp

    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            parts = bytearray()
            while len(parts) < MAX_REFUSAL_BYTES and (part := await response.content.readany()):
                parts += part
    except (aiohttp.ClientError, OSError) as error:
        raise internal_error(str(error) or type(error).__name__) from error
    return parts[:MAX_REFUSAL_BYTES].decode(errors="replace")


def _refusal(code: int, text: str, pod: str) -> StatusError:
    """A kubelet's answer as the API server passes it on."""
    if code == 400:
        return bad_request(text)
    if code == 500:
        return internal_error(text)
    reason, message = _ANSWERS.get(code, _OTHERS[code > 500])
    message = message.format(code=code, text=text)
    return StatusError(code, reason, f"{message} ( pods/log {pod})", {"name": pod, "kind": "pods/log"})


def _reason(error: Exception, url: URL) -> str:
    """Why there was no answer, in the words of those who know kube-apiserver."""
    import aiohttp

    at = f"dial tcp {url.authority}"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"{at}: i/o timeout"
    if isinstance(error, TimeoutError):
        return "net/http: timeout awaiting response headers"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return f"{at}: connect: {os.strerror(error.os_error.errno).lower()}"
    return str(error) or type(error).__name__
