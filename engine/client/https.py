"""The verbs over HTTPS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from engine._object import Object
from engine.api.errors import StatusError
from engine.api.resource import PODS, Resource
from engine.client.kubeconfig import ClusterConfig
from engine.client.transport import Answers, ByteStream, Operation, Page, Shared, WatchStream
from engine.client.wire import JSON, PATCH_CONTENT_TYPES, WatchLines, encode, page_of, refusal

if TYPE_CHECKING:
    import aiohttp

USER_AGENT = "engine/0.1.0"
MAX_REQUESTS = 64  # requests under way at a time; watches and logs are beside them
MAX_TRIES = 5
MAX_RETRY_SECONDS = 30
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 90.0  # a server gives up after 60
IDLE_SECONDS = 5.0  # a watch that says nothing for this long after it should have ended is dead
WATCH_SECONDS = 300
BUFFER_BYTES = 256 << 10  # what one turn of the event loop decodes: about 5 ms of events
UNANSWERED = StatusError(500, "InternalError", "not sent")


class HTTPSTransport:
    """A server somewhere else. Connections are kept and shared; watches have their own, whatever the requests do.

    A request that may be repeated (not a create, not a JSON patch) is repeated when the server says 503, and any that
    was turned away with 429: at most 5 tries, after what Retry-After says.
    """

    def __init__(self, config: ClusterConfig, *, max_requests: int = MAX_REQUESTS) -> None:
        """Raises ConfigError for certificates that cannot be used. Connects with the first request."""
        self._config = config
        self._ssl = config.ssl_context()
        self._max_requests = max_requests
        self._slots = asyncio.Semaphore(max_requests)
        self._opened: aiohttp.ClientSession | None = None
        self._closed = False

    async def get(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        subresource: str = "",
        query: Mapping[str, str] = {},
    ) -> Object:
        return Object(await self._request("GET", resource.path(namespace, name, subresource), query))

    async def list(self, resource: Resource, namespace: str | None, *, query: Mapping[str, str] = {}) -> Page:
        data = await self._request("GET", resource.path(namespace), query)
        try:
            return page_of(data, resource)
        except ValueError as error:
            raise ConnectionError(f"{resource.name}: the server's list cannot be read: {error}") from error

    async def watch(self, resource: Resource, namespace: str | None, *, query: Mapping[str, str] = {}) -> WatchStream:
        """Batches of events, one for each piece that arrives. Raises StatusError for an ERROR event, OSError when the
        connection breaks or is silent for 5 s longer than the watch's `timeoutSeconds` (300 when not given)."""
        query = {"timeoutSeconds": str(WATCH_SECONDS), **query, "watch": "true"}
        idle = int(query["timeoutSeconds"]) + IDLE_SECONDS
        lines = WatchLines()
        async with aclosing(self._stream(resource.path(namespace), query, idle)) as chunks:
            async for chunk in chunks:
                batch = lines.feed(chunk)
                if batch:
                    yield batch
        if lines.pending:
            raise ConnectionError("the watch ended in the middle of an event")

    async def execute(self, operation: Operation) -> Object:
        match operation.verb:
            case "create":
                # A collection takes a new object; an object takes what is created under it (its binding).
                method, name, content_type = "POST", operation.name if operation.subresource else "", JSON
            case "update":
                method, name, content_type = "PUT", operation.name, JSON
            case "patch":
                method, name, content_type = "PATCH", operation.name, PATCH_CONTENT_TYPES[operation.patch_type]
            case "delete":
                method, name, content_type = "DELETE", operation.name, JSON
        path = operation.resource.path(operation.namespace, name, operation.subresource)
        body = operation.body
        if operation.verb == "delete" and body is not None:
            body = {"kind": "DeleteOptions", "apiVersion": "v1", **body}  # type: ignore[dict-item]
        data = None if body is None else encode(body)
        repeatable = method != "POST" and not (method == "PATCH" and operation.patch_type == "json")
        return Object(await self._request(method, path, operation.options, data, content_type, repeatable))

    async def batch(self, operations: Sequence[Operation]) -> Answers:
        """Concurrent requests, at most `max_requests` at a time. When one finds no server the rest are not sent."""
        answers: Answers = [UNANSWERED] * len(operations)
        queue = iter(enumerate(operations))
        workers = [self._work(queue, answers) for _ in range(min(self._max_requests, len(operations)))]
        if len(workers) == 1:
            await workers[0]
        elif workers:
            tasks = [asyncio.ensure_future(worker) for worker in workers]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        return answers

    async def _work(self, queue: Iterator[tuple[int, Operation]], answers: Answers) -> None:
        for at, operation in queue:
            try:
                answers[at] = await self.execute(operation)
            except StatusError as error:
                answers[at] = error

    async def stream_log(self, namespace: str, name: str, *, query: Mapping[str, str] = {}) -> ByteStream:
        """The log as it comes; with `follow` until the container ends."""
        async with aclosing(self._stream(PODS.path(namespace, name, "log"), query, None)) as chunks:
            async for chunk in chunks:
                yield chunk

    def shared(self, resource: Resource) -> Shared | None:
        return None

    async def close(self) -> None:
        """Ends every request and watch under way; later ones raise OSError."""
        self._closed = True
        if self._opened is not None:
            await self._opened.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ConnectionError(f"{self._config.server}: the transport was closed")
        if self._opened is None:
            import aiohttp

            connector = aiohttp.TCPConnector(limit=0, ssl=self._ssl or True, keepalive_timeout=60)
            self._opened = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": USER_AGENT, "Accept": JSON},
                timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS),
                read_bufsize=BUFFER_BYTES,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._opened

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        data: bytes | None = None,
        content_type: str = JSON,
        repeatable: bool = True,
    ) -> bytes:
        for tries in range(1, MAX_TRIES + 1):
            async with self._slots:
                answer = await self._once(method, path, query, data, content_type, fresh_token=tries > 1)
            if not isinstance(answer, StatusError):
                return answer
            if tries == MAX_TRIES or not self._may_repeat(answer, repeatable, tries):
                raise answer
            if answer.code != 401:
                await asyncio.sleep(min(answer.retry_after_seconds or 1, MAX_RETRY_SECONDS))
        raise AssertionError("unreachable")

    def _may_repeat(self, answer: StatusError, repeatable: bool, tries: int) -> bool:
        match answer.code:
            case 401:  # the token may have been renewed since the file was read
                return self._config.token_file is not None and tries == 1
            case 429:  # turned away before anything was done
                return repeatable or answer.retry_after_seconds > 0
            case 503:
                return repeatable
        return False

    async def _once(
        self, method: str, path: str, query: Mapping[str, str], data: bytes | None, content_type: str, fresh_token: bool
    ) -> bytes | StatusError:
        import aiohttp

        headers = self._authorization(fresh_token)
        if data is not None:
            headers["Content-Type"] = content_type
        try:
            async with self._session().request(
                method, self._config.server + path, params=query or None, data=data, headers=headers, **self._tls()
            ) as response:
                body = await response.read()
                if 200 <= response.status < 300:
                    return body
                return refusal(response.status, body, response.headers.get("Retry-After"))
        except aiohttp.ClientError as error:
            raise _unreachable(self._config.server, error) from error

    async def _stream(self, path: str, query: Mapping[str, str], idle: float | None) -> ByteStream:
        """The answer's body in the pieces in which it arrives; `idle` is how long nothing may come."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle)
        try:
            async with self._session().get(
                self._config.server + path,
                params=query or None,
                headers=self._authorization(),
                timeout=timeout,
                **self._tls(),
            ) as response:
                if not 200 <= response.status < 300:
                    raise refusal(response.status, await response.read(), response.headers.get("Retry-After"))
                async for chunk in response.content.iter_any():
                    yield chunk
        except aiohttp.ClientError as error:
            raise _unreachable(self._config.server, error) from error

    def _authorization(self, fresh: bool = False) -> dict[str, str]:
        token = self._config.bearer(fresh=fresh)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _tls(self) -> dict[str, Any]:
        name = self._config.tls_server_name
        return {"server_hostname": name} if name else {}


def _unreachable(server: str, error: Exception) -> OSError:
    """aiohttp's errors are OSErrors only in part."""
    import aiohttp

    if isinstance(error, TimeoutError):
        return TimeoutError(f"{server}: {error or 'timed out'}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return ConnectionResetError(f"{server}: the connection broke in the middle of an answer")
    return ConnectionError(f"{server}: {error or type(error).__name__}")
