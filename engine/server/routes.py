"""What each request asks for, and the answer in the form it asks for."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from engine.api.errors import StatusError
from engine.server.authentication import unauthorized
from engine.server.authorization import authorize_path
from engine.server.discovery import Discovery
from engine.server.negotiation import JSON, Representation, View, accepted, body_media, patch_type
from engine.server.openapi import OpenAPI
from engine.server.presentation import INCLUDE, EventWriter, one_object, page
from engine.server.refusals import (
    MAX_BODY_BYTES,
    internal_error,
    method_not_allowed,
    too_large,
    too_many,
    unsupported_include,
)
from engine.server.request import Request, Response, User
from engine.server.routing import Router, Target
from engine.server.selection import TRUE
from engine.server.watch import WatchEvent
from engine.server.writes import Verb, WriteRequest

if TYPE_CHECKING:
    from engine.server.apiserver import APIServer

LOG = logging.getLogger("engine.server")
TEXT = "text/plain; charset=utf-8"
HEALTH = ("/healthz", "/livez", "/readyz")
PUBLIC = (*HEALTH, "/version")  # answered to anybody
KUBERNETES = ("1", "37")  # whose API this is
MAX_IN_FLIGHT = 600  # requests that wait for their answer; kube-apiserver's 400 reads and 200 writes together
WRITES: dict[str, Verb] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class Call:
    """One request on its way: what it turned out to be."""

    request: Request
    user: User
    query: dict[str, str] = field(default_factory=dict)
    verb: str = ""  # as Kubernetes' metrics name it
    resource: str = ""


class Routes:
    """Finds what a request is for, and answers it from the server's verbs."""

    def __init__(self, server: APIServer) -> None:
        self._server = server
        self._router = Router(server.kinds)
        version = f"v{'.'.join(KUBERNETES)}.0"
        self.discovery = Discovery(server.kinds)
        self._openapi = OpenAPI(server.kinds, version=version)
        self.ready = False
        self._in_flight = 0

    async def handle(self, request: Request) -> Response:
        began = time.perf_counter()
        call = Call(request, User("system:anonymous", ("system:unauthenticated",)))
        self._in_flight += 1
        try:
            if self._in_flight > MAX_IN_FLIGHT and not request.path.startswith(HEALTH):
                raise too_many()
            response = await self._answer(call)
        except StatusError as refusal:
            response = refused(refusal)
        except Exception as error:
            LOG.exception("%s %s failed", request.method, request.path)
            response = refused(internal_error(f"{type(error).__name__}: {error}"))
        finally:
            self._in_flight -= 1
        verb = call.verb or request.method
        self._server.metrics.observe(verb, call.resource, response.status, time.perf_counter() - began)
        return response

    async def _answer(self, call: Call) -> Response:
        request = call.request
        path = request.path.rstrip("/")
        for name, value in request.query:
            call.query.setdefault(name, value)
        user = request.user or self._server.authenticate(request.headers)
        if user is None:
            if not path.startswith(PUBLIC):
                raise unauthorized()
        else:
            call.user = user
        if len(request.body) > MAX_BODY_BYTES:
            raise too_large()
        target = self._router.resolve(path)
        if target is None:
            return self._answer_path(call, path)
        call.resource = target.kind.resource.plural
        if request.method in ("GET", "HEAD"):
            return await self._read(call, target)
        return await self._write(call, target)

    # What is no resource

    def _answer_path(self, call: Call, path: str) -> Response:
        request, method = call.request, call.request.method
        if path.startswith(HEALTH):
            return self._health(call, path)
        if path == "/version":
            return Response(200, orjson.dumps(version_info()))
        authorize_path(call.user, method.lower(), path or "/")
        if path == "/metrics":
            found: Response | None = self._server.metrics.answer()
        elif path in ("/openapi/v2", "/openapi/v3") or path.startswith("/openapi/v3/"):
            found = self._openapi.answer(path, call.query, request.headers)
        else:
            found = self.discovery.answer(path, request.headers)
        if found is None:
            return Response(404, b"404 page not found\n", TEXT)
        if method not in ("GET", "HEAD"):
            raise method_not_allowed()
        return found

    def _health(self, call: Call, path: str) -> Response:
        name, _, part = path.strip("/").partition("/")
        checks = {"ping": True, "storage": self.ready} if name == "readyz" else {"ping": True}
        if part and part not in checks:
            return Response(404, b"404 page not found\n", TEXT)
        healthy = checks[part] if part else all(checks.values())
        if healthy and "verbose" not in call.query:
            return Response(200, b"ok", TEXT)
        lines = [f"[{'+' if good else '-'}]{check} {'ok' if good else 'failed'}" for check, good in checks.items()]
        lines.append(f"{name} check {'passed' if healthy else 'failed'}")
        return Response(200 if healthy else 500, ("\n".join(lines) + "\n").encode(), TEXT)

    # Reading

    async def _read(self, call: Call, target: Target) -> Response:
        kind, server, query = target.kind, self._server, call.query
        resource = kind.resource
        if target.subresource == "log":
            return await self._log(call, target)
        if target.name:
            call.verb = "GET"
            form = self._form(call, "plain" if target.subresource == "scale" else "one")
            found = await server.get(
                resource, target.namespace, target.name, user=call.user, subresource=target.subresource, query=query
            )
            return Response(200, one_object(found, kind, form, query), form.media)
        if query.get("watch", "") in TRUE:
            call.verb = "WATCH"
            form = self._form(call, "watch")
            events = await server.watch(resource, target.namespace, user=call.user, query=query)
            return Response(200, self._stream(events, EventWriter(kind, form, query), call), form.media)
        call.verb = "LIST"
        form = self._form(call, "list")
        told = await server.list(resource, target.namespace, user=call.user, query=query)
        return Response(200, page(told, kind, form, query), form.media, {"Vary": "Accept"})

    async def _stream(
        self, events: AsyncGenerator[Sequence[WatchEvent], None], writer: EventWriter, call: Call
    ) -> AsyncIterator[bytes]:
        """One chunk per batch. What goes wrong once the answer has begun is the last event."""
        metrics = self._server.metrics
        metrics.running(call.verb, call.resource, 1)
        try:
            async with aclosing(events):
                async for batch in events:
                    for chunk in writer.chunks(batch):
                        yield chunk
        except StatusError as refusal:
            yield _error_line(refusal)
        except Exception as error:
            LOG.exception("the watch %s failed", call.request.path)
            yield _error_line(internal_error(f"{type(error).__name__}: {error}"))
        finally:
            metrics.running(call.verb, call.resource, -1)

    async def _log(self, call: Call, target: Target) -> Response:
        call.verb = "CONNECT"
        assert target.namespace is not None
        chunks = await self._server.open_log(target.namespace, target.name, user=call.user, query=call.query)
        if chunks is None:
            return Response(204, b"", TEXT)
        return Response(200, chunks, TEXT)

    # Writing

    async def _write(self, call: Call, target: Target) -> Response:
        request, kind = call.request, target.kind
        verb = WRITES.get(request.method)
        if verb is None or (kind.resource.namespaced and target.namespace is None):
            raise method_not_allowed()
        if verb == "delete" and not target.name:
            return await self._delete_collection(call, target)
        # A create names no object, unless it creates something of one; the others name one.
        if (not target.name) != (verb == "create" and not target.subresource):
            raise method_not_allowed()
        if not target.subresource and verb not in kind.verbs:
            raise method_not_allowed()
        call.verb = request.method
        resource = kind.resource
        self._server.authorize(call.user, verb, resource, target.namespace, target.name, target.subresource)
        content_type = request.headers.get("content-type", "")
        form = self._form(call, "plain" if target.subresource in ("scale", "binding") else "one")
        write = WriteRequest(
            verb,
            kind,
            target.namespace,
            target.name,
            call.user,
            request.body,
            target.subresource,
            media=JSON if verb == "patch" else body_media(content_type),
            patch_type=patch_type(content_type) if verb == "patch" else "merge",
            query=call.query,
            user_agent=request.headers.get("user-agent", ""),
        )
        result = await self._server.execute(write)
        if result.object.kind != resource.kind and form.shape:
            form = Representation(form.media)  # a Status or a Scale has no columns
        body = one_object(result.object, kind, form, call.query)
        return Response(result.code, body, form.media, warnings=list(result.warnings))

    async def _delete_collection(self, call: Call, target: Target) -> Response:
        if "deletecollection" not in target.kind.verbs:
            raise method_not_allowed()
        call.verb = "DELETECOLLECTION"
        form = self._form(call, "list")
        media = body_media(call.request.headers.get("content-type", ""))
        told = await self._server.delete_collection(
            target.kind.resource,
            target.namespace,
            call.request.body,
            user=call.user,
            media=media,
            query=call.query,
        )
        return Response(200, page(told, target.kind, form, call.query), form.media)

    def _form(self, call: Call, view: View) -> Representation:
        form = accepted(call.request.headers.get("accept", ""), view)
        if form.shape == "Table" and call.query.get("includeObject", "") not in INCLUDE:
            raise unsupported_include(call.query["includeObject"])
        return form


def refused(refusal: StatusError) -> Response:
    """A refusal as HTTP has it."""
    headers = {"Retry-After": str(refusal.retry_after_seconds)} if refusal.retry_after_seconds else {}
    return Response(refusal.code, orjson.dumps(refusal.to_dict()), JSON, headers)


def version_info() -> dict[str, str]:
    """What `/version` says: the version of Kubernetes whose API this is, and the engine's own behind it."""
    major, minor = KUBERNETES
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{major}.{minor}.0+engine",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "",
    }


def _error_line(refusal: StatusError) -> bytes:
    return b'{"type":"ERROR","object":%s}\n' % orjson.dumps(refusal.to_dict())
