"""The indexed store of one resource."""

cimport cython
from cpython.pythread cimport PyThread_get_thread_ident
from engine._columns cimport column_of
from engine._object cimport Object, as_object, restamped, value_in
from engine._path cimport path_of
from engine._rows cimport Place, Rows
from engine._selectors cimport (
    IN,
    Requirement,
    Term,
    field_selector_of,
    label_selector_of,
    text_of_field,
)
from engine._watchlog cimport WatchLog

import sys
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, Literal

cdef enum:
    MAX_LABEL_INDEXES = 64  # label keys that are indexed; selectors on others scan
    ROW_BYTES = 160  # an Object, its dict entry and its place in the rows, beside JSON and strings

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Item = Object | bytes | Mapping[str, Any]
IndexSource = str | Callable[[Object], Iterable[str]]

cdef tuple TYPES = ("ADDED", "MODIFIED", "DELETED")
cdef str NAMESPACE_PATH = "metadata.namespace"


# --- Indexes ----------------------------------------------------------------------------------------------------------


cdef object collected(object values):
    """No value as None, one as itself, several as a tuple."""
    cdef tuple found = tuple(dict.fromkeys(values))
    if not found:
        return None
    return found[0] if len(found) == 1 else found


@cython.final
cdef class Index:
    def __init__(self, str name, source):
        self.name = name
        self.source = source
        self.postings = {}
        self.known = {}
        if isinstance(source, str):
            self.path = path_of(source)
        elif not callable(source):
            raise TypeError(f"index {name!r}: the source must be a path or a function")

    cdef object values_of(self, Object obj):
        if self.path is None:
            try:
                values = self.source(obj)
                if isinstance(values, str):
                    raise TypeError("the function must return its values in a list, not one str")
                values = collected(values)
                for value in values if type(values) is tuple else (values,):
                    if value is not None and type(value) is not str:
                        raise TypeError(f"{value!r} is no str")
            except Exception as error:
                raise ValueError(f"index {self.name!r} failed for {obj.key}: {error}") from error
            return values
        found = value_in(obj, self.path)
        if type(found) is str:
            return found
        if type(found) is list:
            return collected([text_of_field(value) for value in <list>found])
        return None if found is None or type(found) is dict else text_of_field(found)

    cdef int move(self, str key, object now) except -1:
        """Posts the row under what it has now; None takes it out."""
        before = self.known.get(key)
        if before is now or before == now:
            return 0
        if before is not None:
            for value in before if type(before) is tuple else (before,):
                keys = self.postings[value]
                (<set>keys).discard(key)
                if not keys:
                    del self.postings[value]
        if now is None:
            del self.known[key]
            return 0
        self.known[key] = now
        for value in now if type(now) is tuple else (now,):
            keys = self.postings.get(value)
            if keys is None:
                self.postings[value] = {key}
            else:
                (<set>keys).add(key)
        return 0


# --- Queries ----------------------------------------------------------------------------------------------------------


cdef Query query_of(str namespace, object label_selector, object field_selector, Py_ssize_t limit, str after):
    cdef Query query = Query.__new__(Query)
    if limit < 0:
        raise ValueError("limit must not be negative")
    query.namespace = namespace or None
    query.labels = label_selector_of(label_selector)
    query.fields = field_selector_of(field_selector)
    query.limit = limit
    query.after = after
    return query


cdef Place start_of(Query query, Rows rows):
    """Keys of a namespace stand together, behind "namespace/" and before "namespace0" ('0' follows '/')."""
    cdef str low
    if query.namespace is not None:
        low = query.namespace + "/"
        if query.after < low:
            return rows.seek(low, False)
    return rows.seek(query.after, True) if query.after else rows.seek("", False)


cdef Place end_of(Query query, Rows rows):
    return rows.seek(None if query.namespace is None else query.namespace + "0", False)


@cython.final
cdef class Query:
    cdef bint selects(self, Object obj) except -1:
        if self.labels is not None and not self.labels.selects(obj):
            return False
        return self.fields is None or self.fields.selects(obj)

    cdef bint covers(self, str key) except -1:
        if self.after and key <= self.after:
            return False
        return self.namespace is None or key.startswith(self.namespace + "/")

    cdef list scan(self, Rows rows):
        """Through the range of keys, in order, until enough are found."""
        cdef Place start = start_of(self, rows), end = end_of(self, rows)
        cdef Place stop
        cdef list found
        if self.labels is None and self.fields is None and self.keys is None:
            return rows.between(start, end, self.limit, False)
        found = []
        while start.chunk < end.chunk or (start.chunk == end.chunk and start.row < end.row):
            stop = end
            if start.chunk < end.chunk:
                stop.chunk = start.chunk + 1
                stop.row = 0
            for obj in rows.between(start, stop, 0, False):
                if (self.keys is None or (<Object>obj).key in self.keys) and self.selects(<Object>obj):
                    found.append(obj)
                    if self.limit and len(found) == self.limit:
                        return found
            start.chunk += 1
            start.row = 0
        return found


cdef bint walking_is_cheaper(Query query, Py_ssize_t rows) except -1:
    """A page out of very many candidates is found sooner in the rows, which are in order, than by sorting them."""
    cdef Py_ssize_t size = len(query.keys)
    return query.limit > 0 and size > 64 and size * size > 16 * query.limit * rows


# --- The cache --------------------------------------------------------------------------------------------------------


@cython.final
cdef class Cache:
    """The indexed store of one resource: objects by key, by index and by selector.
    One thread writes; others read snapshots.

    The contract of every method is in engine/_cache.pyi.
    """

    def __init__(self, indexes=None, columns=(), WatchLog log=None):
        self.objects = {}
        self.rows = Rows.__new__(Rows)
        self.indexes = {}
        self.label_indexes = {}
        self.namespaces = {}
        self.log = log
        self.columns = {}
        if log is not None:
            self.resource_version = log.resource_version
        for path in columns:
            path_of(path)
            self.columns[path] = None
        for name, source in dict(indexes or {}).items():
            self.add_index(name, source)

    cdef int check_thread(self) except -1:
        cdef unsigned long here = <unsigned long>PyThread_get_thread_ident()
        if self.writer != here:
            if self.writer:
                raise RuntimeError(f"Cache is written by thread {self.writer}, not {here}")
            self.writer = here
        return 0

    # --- Writing ---

    cdef list values_for(self, Object obj):
        """What each index finds in it, in the order of `indexes`; raises before anything is changed."""
        if not obj.name:
            raise ValueError("object has no metadata.name")
        return [(<Index>index).values_of(obj) for index in self.indexes.values()]

    cdef Object upsert(self, Object obj, list values):
        cdef Object old = <Object>self.objects.get(obj.key)
        cdef str key = obj.key if old is None else old.key
        cdef Index index
        cdef Py_ssize_t i = 0
        self.objects[key] = obj
        self.rows.put(key, obj)
        for item in self.indexes.values():
            index = <Index>item
            index.move(key, values[i])
            i += 1
        for item in self.label_indexes.values():
            index = <Index>item
            index.move(key, index.values_of(obj))
        self.payload += len(obj.raw)
        if old is None:
            self.namespaces[obj.namespace] = self.namespaces.get(obj.namespace, 0) + 1
        else:
            self.payload -= len(old.raw)
        return old

    cdef Object remove(self, str key):
        cdef Object old = <Object>self.objects.pop(key, None)
        if old is None:
            return None
        self.rows.remove(key)
        for index in self.indexes.values():
            (<Index>index).move(key, None)
        for index in self.label_indexes.values():
            (<Index>index).move(key, None)
        self.payload -= len(old.raw)
        if self.namespaces[old.namespace] == 1:
            del self.namespaces[old.namespace]
        else:
            self.namespaces[old.namespace] -= 1
        return old

    cdef Object change(self, str type, Object obj, list values):
        """One change, rows and indexes first, then the log. `values` is None for DELETED."""
        cdef Object old
        if values is None:
            old = self.remove(obj.key)
        else:
            old = self.upsert(obj, values)
            type = "ADDED" if old is None else "MODIFIED"
        if obj.resource_version > self.resource_version:
            self.resource_version = obj.resource_version
        for path in self.columns:
            self.columns[path] = None
        if self.log is not None:
            if old is not None or values is not None:
                self.log.add(type, obj, old, obj.resource_version)
            elif obj.resource_version > self.log.resource_version:
                self.log.resource_version = obj.resource_version
        return old

    def apply(self, str type not None, item not None):
        cdef Object obj = as_object(item)
        self.check_thread()
        return self.change(type, obj, None if is_deletion(type) else self.values_for(obj))

    def apply_batch(self, events):
        cdef list ready = []
        cdef Object obj
        self.check_thread()
        for type, item in events:
            obj = as_object(item)
            ready.append((type, obj, None if is_deletion(type) else self.values_for(obj)))
        for type, item, values in ready:
            self.change(<str>type, <Object>item, <list>values)

    def replace(self, items, long long resource_version):
        cdef Replacement replacement = self.replacement(resource_version)
        replacement.add(items)
        replacement.finish()

    def replacement(self, long long resource_version):
        cdef Replacement made = Replacement.__new__(Replacement)
        made.cache = self
        made.wanted = {}
        made.revision = resource_version
        return made

    cdef int swap(self, dict wanted, dict values, long long resource_version) except -1:
        """`wanted` and `values` by key. What can fail comes before the first change."""
        cdef list logged = []
        cdef Object old, obj
        cdef WatchLog log = self.log
        for key in sorted([key for key in self.objects if key not in wanted]):
            old = <Object>self.objects[key]
            logged.append(("DELETED", old if log is None else restamped(old, resource_version), old))
        for entry in logged:
            self.remove((<Object>entry[2]).key)
        for key, found in values.items():
            obj = <Object>wanted[key]
            old = self.upsert(obj, <list>found)
            logged.append(("ADDED" if old is None else "MODIFIED", obj, old))
        self.resource_version = resource_version
        for path in self.columns:
            self.columns[path] = None
        if log is not None:
            for type, item, before in logged:
                log.add(<str>type, <Object>item, <Object>before, resource_version)
            log.advance(resource_version)
        return 0

    def advance(self, long long resource_version):
        self.check_thread()
        if resource_version > self.resource_version:
            self.resource_version = resource_version
        if self.log is not None:
            self.log.advance(resource_version)

    def add_index(self, str name not None, source not None):
        cdef Index index
        self.check_thread()
        known = NAMESPACE_PATH if name == "namespace" else None
        if name in self.indexes:
            known = (<Index>self.indexes[name]).source
        if known is not None:
            if known == source:
                return
            raise ValueError(f"index {name!r} exists with another source")
        index = Index(name, source)
        for key, obj in self.objects.items():
            index.move(<str>key, index.values_of(<Object>obj))
        self.indexes[name] = index

    # --- Reading ---

    def get(self, str key not None):
        return self.objects.get(key)

    def get_many(self, keys):
        return [self.objects.get(key) for key in keys]

    def list(self, str namespace=None, label_selector=None, field_selector=None, *, Py_ssize_t limit=0,
             str after not None=""):
        cdef Query query = query_of(namespace, label_selector, field_selector, limit, after)
        cdef list found
        if query.labels is None and query.fields is None:
            return query.scan(self.rows)
        self.narrow(query, None)
        if query.keys is None or walking_is_cheaper(query, len(self.objects)):
            return query.scan(self.rows)
        found = []
        for key in sorted(query.keys):
            if query.covers(key):
                obj = self.objects[key]
                if query.selects(<Object>obj):
                    found.append(obj)
                    if len(found) == limit:
                        break
        return found

    cdef int narrow(self, Query query, list why) except -1:
        """Finds the smallest set of keys that indexes know to hold all matches. When they answer the label selector to
        the last requirement, it is taken off the query."""
        cdef list known = []  # (size, how, keys)
        cdef Py_ssize_t answered = 0
        cdef Requirement requirement
        cdef Term term
        cdef Index index
        cdef set keys
        if query.labels is not None:
            for item in query.labels.terms:
                requirement = <Requirement>item
                index = self.label_index(requirement.key) if requirement.operator == IN else None
                if index is not None:
                    keys = gathered(index.postings, requirement.values)
                    known.append((len(keys), f"label {requirement.key}", keys))
                    answered += 1
        if query.fields is not None:
            for item in query.fields.terms:
                term = <Term>item
                keys = self.field_keys(query, term) if term.equal and term.value else None
                if keys is not None:
                    known.append((len(keys), f"field {term.path.text}", keys))
        known.sort(key=itemgetter(0))
        if query.labels is not None and answered == len(query.labels.terms):
            query.labels = None
            query.keys = known[0][2] if len(known) == 1 else set.intersection(*[entry[2] for entry in known])
        elif known:
            query.keys = known[0][2]
        if why is not None:
            why += known
        return 0

    cdef Index label_index(self, str name):
        cdef Index index = <Index>self.label_indexes.get(name)
        if index is not None:
            return index
        if len(self.label_indexes) >= MAX_LABEL_INDEXES or (self.writer and not self.is_writer()):
            return None
        index = Index(name, f"metadata.labels['{name}']")
        for key, obj in self.objects.items():
            index.move(<str>key, index.values_of(<Object>obj))
        self.label_indexes[name] = index
        return index

    cdef bint is_writer(self) noexcept:
        return self.writer == <unsigned long>PyThread_get_thread_ident()

    cdef set field_keys(self, Query query, Term term):
        """Keys that can have this value at this path, when that is known without a scan."""
        cdef Index index
        if term.path.text == "metadata.name":
            key = term.value if query.namespace is None else f"{query.namespace}/{term.value}"
            if query.namespace is not None or self.namespaces.get("", 0) == len(self.objects):
                return {key} if key in self.objects else set()
        for item in self.indexes.values():
            index = <Index>item
            if index.path is not None and index.path.text == term.path.text:
                return index.postings.get(term.value, set())
        return None

    def by_index(self, str name not None, str value not None):
        objects = self.objects
        return [objects[key] for key in self.index_keys(name, value)]

    def index_keys(self, str name not None, str value not None):
        cdef Query query
        if name == "namespace" and "namespace" not in self.indexes:
            if value:
                query = query_of(value, None, None, 0, "")
                return self.rows.between(start_of(query, self.rows), end_of(query, self.rows), 0, True)
            return [key for key in self.keys() if not (<Object>self.objects[key]).namespace]
        return sorted((<Index>self.indexes[name]).postings.get(value, ()))

    def index_size(self, str name not None, str value not None):
        if name == "namespace" and "namespace" not in self.indexes:
            return self.namespaces.get(value, 0)
        return len((<Index>self.indexes[name]).postings.get(value, ()))

    def index_values(self, str name not None):
        if name == "namespace" and "namespace" not in self.indexes:
            return sorted(self.namespaces)
        return sorted((<Index>self.indexes[name]).postings)

    def column(self, str path not None):
        found = self.columns[path]
        if found is None:
            objects = query_of(None, None, None, 0, "").scan(self.rows)
            found = self.columns[path] = column_of(objects, path_of(path))
        return found

    def keys(self):
        return self.rows.between(self.rows.seek("", False), self.rows.seek(None, False), 0, True)

    def __len__(self):
        return len(self.objects)

    def __contains__(self, key):
        return key in self.objects

    def snapshot(self):
        cdef Snapshot made = Snapshot.__new__(Snapshot)
        made.rows = self.rows.fork()
        made.resource_version = self.resource_version
        return made

    def explain(self, str namespace=None, label_selector=None, field_selector=None):
        cdef Query query = query_of(namespace, label_selector, field_selector, 0, "")
        cdef list why = []
        if query.labels is not None or query.fields is not None:
            self.narrow(query, why)
        if why:
            return f"{', '.join([f'{how} ({size} keys)' for size, how, _ in why])}: {len(query.keys)} objects looked at"
        if query.namespace is not None:
            return f"namespace {query.namespace}: {self.namespaces.get(query.namespace, 0)} objects looked at"
        return f"no index: {len(self.objects)} objects looked at"

    @property
    def nbytes(self):
        cdef long long held = self.payload + ROW_BYTES * len(self.objects) + sys.getsizeof(self.objects)
        for index in [*self.indexes.values(), *self.label_indexes.values()]:
            held += sys.getsizeof((<Index>index).postings) + sys.getsizeof((<Index>index).known)
            for keys in (<Index>index).postings.values():
                held += sys.getsizeof(keys)
        return held

    def stats(self):
        return {
            "objects": len(self.objects),
            "payload_bytes": self.payload,
            "bytes": self.nbytes,
            "indexes": len(self.indexes) + 1,
            "label_indexes": len(self.label_indexes),
            "namespaces": len(self.namespaces),
            "resource_version": self.resource_version,
        }


cdef bint is_deletion(object type) except -1:
    if type not in TYPES:
        raise ValueError(f"type {type!r} is none of {', '.join(TYPES)}")
    return type == "DELETED"


cdef set gathered(dict postings, tuple values):
    """The keys under any of the values; the set itself when there is one value."""
    if len(values) == 1:
        return postings.get(values[0], set())
    return set().union(*[postings[value] for value in values if value in postings])


# --- Snapshots and replacements ---------------------------------------------------------------------------------------


@cython.final
cdef class Snapshot:
    """One moment of a Cache; the same reading methods."""

    def __init__(self):
        raise TypeError("use Cache.snapshot")

    def get(self, str key not None):
        return self.rows.find(key)

    def list(self, str namespace=None, label_selector=None, field_selector=None, *, Py_ssize_t limit=0,
             str after not None=""):
        return query_of(namespace, label_selector, field_selector, limit, after).scan(self.rows)

    def keys(self):
        return self.rows.between(self.rows.seek("", False), self.rows.seek(None, False), 0, True)

    def __len__(self):
        return self.rows.count


@cython.final
cdef class Replacement:
    """A replace that arrives in pages; nothing is visible before finish()."""

    def __init__(self):
        raise TypeError("use Cache.replacement")

    def add(self, items):
        cdef Object obj
        for item in items:
            obj = as_object(item)
            if not obj.name:
                raise ValueError("object has no metadata.name")
            self.wanted[obj.key] = obj

    def finish(self, long long resource_version=0):
        cdef Cache cache = self.cache
        cdef dict values = {}
        cdef Object obj, old
        if self.finished:
            raise RuntimeError("the replacement is finished")
        cache.check_thread()
        for key, item in self.wanted.items():
            obj = <Object>item
            old = <Object>cache.objects.get(key)
            if old is None or not is_same(old, obj):
                values[key] = cache.values_for(obj)
        self.finished = True
        cache.swap(self.wanted, values, resource_version or self.revision)


cdef bint is_same(Object old, Object new) except -1:
    if old.resource_version or new.resource_version:
        return old.resource_version == new.resource_version
    return old.raw == new.raw
