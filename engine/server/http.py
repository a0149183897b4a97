"""The HTTPS front: sockets, TLS and HTTP/1.1 around whatever answers requests."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError
from multidict import CIMultiDict
from yarl import URL

from engine.api.errors import StatusError, bad_request
from engine.server.authentication import user_of_certificate
from engine.server.podlogs import LogBroken
from engine.server.refusals import MAX_BODY_BYTES, too_large
from engine.server.request import Request, Response, User
from engine.server.routes import refused

LOG = logging.getLogger("engine.server.http")
GZIP_BYTES = 128 * 1024  # answers from this size on are compressed for clients that accept it
THREAD_BYTES = 1024 * 1024  # … from this size on in a thread
GZIP_LEVEL = 1
MAX_LINE_BYTES = 64 * 1024  # of a request's line and each header: selectors can be long
BODY_SECONDS = 60.0  # that a request has for its body
SHUTDOWN_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 180.0  # of a connection without a request, also one that has not said its first one whole
BACKLOG = 1024


def _briefly(record: logging.LogRecord) -> bool:
    """What is no HTTP is its sender's fault: one line, and only for who asks for it."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError):
        record.msg, record.exc_info = f"{record.msg}: {type(record.exc_info[1]).__name__}", None
        return LOG.isEnabledFor(logging.DEBUG)
    return True


PROTOCOL = logging.getLogger("engine.server.http.protocol")
PROTOCOL.addFilter(_briefly)


class Handler(Protocol):
    """Who answers: the API server, a kubelet."""

    def authenticate(self, headers: Mapping[str, str]) -> User | None:
        """Who a request without a client certificate is from; None for nobody."""

    async def handle(self, request: Request) -> Response:
        """Never raises, except that a caller who is cancelled is cancelled."""


class HTTPServer:
    """Listens on one address until it is stopped. Users come from verified client certificates, or from what the
    handler reads in the headers. What nobody sends is answered without its body being read."""

    def __init__(self, handler: Handler, context: ssl.SSLContext, *, body_seconds: float = BODY_SECONDS) -> None:
        """A request whose body is not there after `body_seconds` gets 408."""
        self._handler = handler
        self._body_seconds = body_seconds
        self._context = context
        self._runner: web.ServerRunner | None = None
        self._streams: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listens; port 0 takes a free one. Returns the address. Raises OSError when it is taken."""
        return await self._serve(
            lambda runner: web.TCPSite(runner, host, port, ssl_context=self._context, backlog=BACKLOG)
        )

    async def start_on(self, listening: socket.socket) -> tuple[str, int]:
        """The same on a socket that listens already, and is the front's own from here on."""
        return await self._serve(
            lambda runner: web.SockSite(runner, listening, ssl_context=self._context, backlog=BACKLOG)
        )

    async def _serve(self, site: Callable[[web.ServerRunner], web.BaseSite]) -> tuple[str, int]:
        low_level = web.Server(
            self._handle,
            access_log=None,
            logger=PROTOCOL,
            handler_cancellation=True,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
        )
        runner = web.ServerRunner(low_level, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await site(runner).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        bound = runner.addresses[0]
        return bound[0], bound[1]

    async def stop(self, *, streams_seconds: float = 0.0) -> None:
        """Takes no new connections, ends the streams and lets the other requests finish, within SHUTDOWN_SECONDS.
        Streams are left alone for `streams_seconds`, if they are about to end by themselves."""
        if self._streams and streams_seconds:
            await asyncio.wait(self._streams, timeout=streams_seconds)
        self._stopping = True
        for stream in self._streams:
            stream.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        url = http.rel_url
        headers = {name.lower(): value for name, value in http.headers.items()}
        user = _peer(http) or self._handler.authenticate(headers)
        try:
            body = await self._body(http) if user is not None else b""
        except StatusError as error:
            refusal = refused(error)
            return _whole(refusal, refusal.body, {})
        request = Request(http.method, url.path, _query(url), headers, body, user)
        if http.method in ("GET", "HEAD"):
            response = await self._handler.handle(request)
        else:
            # A client that hangs up does not undo its write half-way.
            response = await asyncio.shield(self._handler.handle(request))
        if not isinstance(response.body, bytes):
            return await self._stream(http, response, response.body)
        content = response.body
        more: dict[str, str] = {}
        if len(content) >= GZIP_BYTES and "gzip" in headers.get("accept-encoding", ""):
            big = len(content) >= THREAD_BYTES
            content = await asyncio.to_thread(_gzip, content) if big else _gzip(content)
            more = {"Content-Encoding": "gzip"}
        return _whole(response, content, more)

    async def _body(self, http: web.BaseRequest) -> bytes:
        """Raises StatusError: 413 as soon as it is known, 408, and 400 for a body that breaks its own encoding."""
        if not http.can_read_body:
            return b""
        if (http.content_length or 0) > MAX_BODY_BYTES:
            raise too_large()
        if http.headers.get("Expect", "").lower() == "100-continue" and http.transport is not None:
            http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            if http.content.is_eof():
                return await _read(http)
            async with asyncio.timeout(self._body_seconds):
                return await _read(http)
        except TimeoutError:
            why = f"the body of the request was not there within {self._body_seconds:g} s"
            raise StatusError(408, "Timeout", why) from None
        except (web.RequestPayloadError, PayloadEncodingError) as error:
            raise bad_request(f"the body of the request cannot be read: {error}") from None

    async def _stream(
        self, http: web.BaseRequest, response: Response, chunks: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        """Each chunk is one write. Ends when the chunks do, when the client leaves, or when the server stops."""
        stream = web.StreamResponse(status=response.status, headers=_headers(response))
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            await stream.prepare(http)
            async for chunk in chunks:
                await stream.write(chunk)
            await stream.write_eof()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            await stream.write_eof()
        except LogBroken as error:
            LOG.warning("the answer to %s broke off: %s", http.rel_url, error)
            _break_off(http)
        except ConnectionError:
            LOG.debug("the client of %s left", http.rel_url)
        except Exception:
            LOG.exception("the answer to %s broke off", http.rel_url)
            _break_off(http)
        finally:
            self._streams.discard(task)
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
        return stream


def _break_off(http: web.BaseRequest) -> None:
    """The answer has begun, so the only way to say that it is not whole is to end the connection."""
    if http.transport is not None:
        http.transport.close()


async def _read(http: web.BaseRequest) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await http.content.readany():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_large()
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _query(url: URL) -> list[tuple[str, str]]:
    return list(url.query.items()) if url.raw_query_string else []


def _peer(http: web.BaseRequest) -> User | None:
    transport = http.transport
    return None if transport is None else user_of_certificate(transport.get_extra_info("peercert"))


def _whole(response: Response, content: object, more: Mapping[str, str]) -> web.Response:
    headers = _headers(response)
    headers.update(more)
    return web.Response(status=response.status, body=content, headers=headers)


def _headers(response: Response) -> CIMultiDict[str]:
    headers = CIMultiDict({"Content-Type": response.content_type, **response.headers})
    for warning in response.warnings:
        text = warning.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        headers.add("Warning", f'299 - "{text}"')
    return headers


def _gzip(content: bytes) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()
