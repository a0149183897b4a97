"""The API server without HTTP: requests in, answers out; and the same verbs for callers in the same process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from engine._object import Object
from engine.api.errors import StatusError, bad_request, not_found
from engine.api.kind import Kind
from engine.api.resource import NAMESPACES, PODS, Resource
from engine.server.authentication import Authenticator
from engine.server.authorization import authorize, is_component
from engine.server.create import Create
from engine.server.delete import Delete
from engine.server.lists import Lists, Page
from engine.server.metrics import Metrics
from engine.server.namespaces import INITIAL
from engine.server.patch import Patch
from engine.server.podlogs import LogSource, log_options
from engine.server.refusals import method_not_allowed, unavailable, unknown_resource
from engine.server.request import Request, Response, User
from engine.server.routes import Routes
from engine.server.subresources import Subresources, scale_of
from engine.server.update import Update
from engine.server.watch import Watch, WatchEvent
from engine.server.writes import Body, PatchType, Pipeline, Prepared, Result, Verb, WriteRequest
from engine.storage.store import Store, Table

SERVER = User("system:apiserver", ("system:masters",))
FUTURE_SECONDS = 3.0  # how long a read waits for a version that the store has not reached
T = TypeVar("T")
Answers = list[Object | StatusError]
Requests = list[WriteRequest]


class Operation(Protocol):
    """One write of a batch, as a client in this process describes it."""

    @property
    def verb(self) -> Verb: ...
    @property
    def resource(self) -> Resource: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def body(self) -> Body: ...
    @property
    def subresource(self) -> str: ...
    @property
    def patch_type(self) -> PatchType: ...
    @property
    def options(self) -> Mapping[str, str]: ...


class APIServer:
    """Serves the kinds of a table from a store. One asyncio loop owns it, the store's.

    Every write takes the whole way, whoever asks: authorisation, decoding, defaults, validation, field managers,
    revision, durability. Refusals are StatusError; `handle` turns them, and whatever else goes wrong, into Kubernetes'
    Status.
    """

    def __init__(
        self,
        store: Store,
        kinds: Iterable[Kind],
        *,
        authenticator: Authenticator | None = None,
        log_source: LogSource | None = None,
        future_seconds: float = FUTURE_SECONDS,
    ) -> None:
        """`log_source` answers for `pods/log`; it may be set later. `future_seconds` is how long a read waits for a
        resourceVersion that is still to come."""
        self.store = store
        self.kinds = list(kinds)
        self.authenticator = authenticator or Authenticator()
        self.log_source = log_source
        self.metrics = Metrics(lambda: [(k.resource.name, len(store.table(k.resource).cache)) for k in self.kinds])
        self._by_resource = {kind.resource: kind for kind in self.kinds}
        self._future_seconds = future_seconds
        self._lists = Lists(store)
        create, update = Create(store), Update(store)
        subresources = Subresources(store, update)
        patch = Patch(store, create, update, subresources)
        self._prepare: dict[tuple[Verb, str], Callable[[WriteRequest], Prepared]] = {
            ("create", ""): create.prepare,
            ("create", "binding"): subresources.bind,
            ("update", ""): update.prepare,
            ("update", "status"): update.prepare,
            ("update", "scale"): subresources.replace_scale,
            ("update", "finalize"): subresources.finalize,
            ("patch", ""): patch.prepare,
            ("patch", "status"): patch.prepare,
            ("patch", "scale"): patch.prepare,
            ("delete", ""): Delete(store).prepare,
        }
        self._pipeline = Pipeline(store, self._prepared)
        self._routes = Routes(self)

    async def start(self) -> None:
        """Makes the namespaces that every cluster has. The store is open already."""
        missing = [name for name in INITIAL if self.store.newest(NAMESPACES, name) is None]
        bodies: list[dict[str, Any]] = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in missing
        ]
        requests = [WriteRequest("create", self.kind(NAMESPACES), None, "", SERVER, body) for body in bodies]
        for result in await self._pipeline.run(requests):
            if isinstance(result, StatusError) and result.reason != "AlreadyExists":
                raise result
        self._routes.ready = True

    def authenticate(self, headers: Mapping[str, str]) -> User | None:
        """Whose bearer token it is; None for nobody's."""
        return self.authenticator.authenticate(headers)

    async def handle(self, request: Request) -> Response:
        """Answers any request. Never raises, except that a caller who is cancelled is cancelled."""
        return await self._routes.handle(request)

    def reached_at(self, address: str) -> None:
        """Clients reach this server at HOST:PORT."""
        self._routes.discovery.reached_at(address)

    def kind(self, resource: Resource) -> Kind:
        """Raises StatusError 404 for a resource that is not served."""
        try:
            return self._by_resource[resource]
        except KeyError:
            raise unknown_resource() from None

    def authorize(
        self, user: User, verb: str, resource: Resource, namespace: str | None, name: str = "", subresource: str = ""
    ) -> None:
        """Counts the request, whichever way it came, and raises StatusError 403 when the user may not."""
        self.metrics.asked("component" if is_component(user) else "person", verb, resource.plural)
        authorize(user, verb, resource, namespace, name, subresource)

    # Reading

    async def get(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        user: User,
        subresource: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """One object, or its scale. Raises StatusError."""
        kind = self.kind(resource)
        self.authorize(user, "get", resource, namespace, name, subresource)
        version = (query or {}).get("resourceVersion", "")
        if version not in ("", "0"):
            await self._patiently(lambda: self._lists.page(kind, namespace, {"resourceVersion": version}, name))
        return self.read(kind, namespace, name, subresource)

    def read(self, kind: Kind, namespace: str | None, name: str, subresource: str = "") -> Object:
        """The visible version of one object. Raises StatusError 404."""
        resource = kind.resource
        found = self.store.table(resource).cache.get(f"{namespace}/{name}" if namespace else name)
        if found is None:
            raise not_found(resource.group, resource.plural, name)
        if subresource == "scale":
            return scale_of(kind, found)
        if subresource not in ("", "status"):
            raise method_not_allowed()
        return found

    async def list(
        self, resource: Resource, namespace: str | None, *, user: User, query: Mapping[str, str] | None = None
    ) -> Page:
        """One page; `query` as in the URL. Raises StatusError."""
        kind = self.kind(resource)
        self.authorize(user, "list", resource, namespace)
        return await self._patiently(lambda: self._lists.page(kind, namespace, query or {}))

    async def watch(
        self, resource: Resource, namespace: str | None, *, user: User, query: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Sequence[WatchEvent], None]:
        """A checked watch's batches of events. Raises StatusError, also from the iterator (410)."""
        kind = self.kind(resource)
        self.authorize(user, "watch", resource, namespace)
        watch = await self._patiently(lambda: Watch(self.store, kind, namespace, query or {}))
        return watch.events()

    async def open_log(
        self, namespace: str, name: str, *, user: User, query: Mapping[str, str] | None = None
    ) -> AsyncIterator[bytes] | None:
        """A container's log; None for a pod that has no node yet. Raises StatusError."""
        kind = self.kind(PODS)
        self.authorize(user, "get", PODS, namespace, name, "log")
        pod = self.read(kind, namespace, name)
        options = log_options(pod, query or {})
        if not pod.peek().get("spec", {}).get("nodeName"):
            return None
        if self.log_source is None:
            raise unavailable("no node of this control plane can be asked for logs")
        return await self.log_source.open(pod, options)

    def table(self, resource: Resource) -> Table:
        """The cache and the log of a resource, which callers only read. KeyError when it is not served."""
        return self.store.table(resource)

    # Writing

    async def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: Body,
        *,
        user: User,
        name: str = "",
        subresource: str = "",
        options: Mapping[str, str] | None = None,
    ) -> Object:
        """`name` is that of the object whose subresource is created (a binding). Raises StatusError."""
        return await self._one("create", resource, namespace, name, body, user, subresource, options)

    async def update(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Body,
        *,
        user: User,
        subresource: str = "",
        options: Mapping[str, str] | None = None,
    ) -> Object:
        return await self._one("update", resource, namespace, name, body, user, subresource, options)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Body,
        *,
        user: User,
        patch_type: PatchType = "merge",
        subresource: str = "",
        options: Mapping[str, str] | None = None,
    ) -> Object:
        return await self._one("patch", resource, namespace, name, body, user, subresource, options, patch_type)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Body = None,
        *,
        user: User,
        options: Mapping[str, str] | None = None,
    ) -> Object:
        """`body` are DeleteOptions. The object when it is still there or Kubernetes answers so, else a Status."""
        return await self._one("delete", resource, namespace, name, body, user, "", options)

    async def batch(self, operations: Sequence[Operation], *, user: User) -> Answers:
        """Each operation by itself, the answers in order: prepared and committed in groups, not one by one."""
        results: Answers = []
        requests: Requests = []
        refused: dict[int, StatusError] = {}
        for index, asked in enumerate(operations):
            try:
                kind = self.kind(asked.resource)
                self.authorize(user, asked.verb, asked.resource, asked.namespace, asked.name, asked.subresource)
            except StatusError as refusal:
                refused[index] = refusal
                continue
            requests.append(
                WriteRequest(
                    asked.verb,
                    kind,
                    asked.namespace,
                    asked.name,
                    user,
                    asked.body,
                    asked.subresource,
                    patch_type=asked.patch_type,
                    query=asked.options,
                )
            )
        answers = iter(await self._pipeline.run(requests))
        for index in range(len(operations)):
            answer = refused.get(index) or next(answers)
            results.append(answer if isinstance(answer, StatusError) else answer.object)
        return results

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None,
        body: Body = None,
        *,
        user: User,
        media: str = "",
        query: Mapping[str, str] | None = None,
    ) -> Page:
        """Deletes what a list with these parameters would find, and returns that list. Raises StatusError."""
        kind, asked = self.kind(resource), query or {}
        self.authorize(user, "deletecollection", resource, namespace)
        page = self._lists.page(kind, namespace, asked)
        requests = [
            WriteRequest("delete", kind, found.namespace or None, found.name, user, body, media=media, query=asked)
            for found in page.items
        ]
        for result in await self._pipeline.run(requests):
            if isinstance(result, StatusError) and result.code != 404:
                raise result
        return page

    async def execute(self, request: WriteRequest) -> Result:
        """One authorised write with all that HTTP wants to know of it. Raises StatusError."""
        (result,) = await self._pipeline.run((request,))
        if isinstance(result, StatusError):
            raise result
        return result

    async def _one(
        self,
        verb: Verb,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Body,
        user: User,
        subresource: str,
        options: Mapping[str, str] | None,
        patch_type: PatchType = "merge",
    ) -> Object:
        kind = self.kind(resource)
        self.authorize(user, verb, resource, namespace, name, subresource)
        request = WriteRequest(
            verb, kind, namespace, name, user, body, subresource, patch_type=patch_type, query=options or {}
        )
        return (await self.execute(request)).object

    def _prepared(self, request: WriteRequest) -> Prepared:
        prepare = self._prepare.get((request.verb, request.subresource))
        if prepare is None or (request.subresource and request.subresource not in request.kind.all_subresources):
            raise method_not_allowed()
        if request.kind.resource.namespaced and not request.namespace:
            raise bad_request("an empty namespace may not be set during creation")
        return prepare(request)

    async def _patiently(self, ask: Callable[[], T]) -> T:
        """Asks again for a while when the version asked for is still to come (another server may be writing it)."""
        until = time.monotonic() + self._future_seconds
        while True:
            try:
                return ask()
            except StatusError as refusal:
                if refusal.code != 504 or time.monotonic() >= until:
                    raise
            await asyncio.sleep(min(0.05, self._future_seconds))
