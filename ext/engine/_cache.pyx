"""The indexed store of one resource."""

cimport cython
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.pythread cimport PyThread_get_thread_ident
from engine._object cimport Object, Path, as_object, path_of, restamped
from engine._rows cimport Place, Rows
from engine._selectors cimport (
    FieldSelector,
    LabelSelector,
    Requirement,
    Term,
    IN,
    field_selector_of,
    label_selector_of,
    text_of_field,
)
from engine._watchlog cimport WatchLog

import sys
from math import inf

cdef enum:
    MAX_LABEL_INDEXES = 64  # label keys that are indexed; selectors on others scan
    ROW_BYTES = 160  # an Object, its dict entry and its place in the rows, beside JSON and strings

TYPES = ("ADDED", "MODIFIED", "DELETED")
NAMESPACE_PATH = "metadata.namespace"
QUANTITY_PARENTS = ("requests", "limits", "capacity", "allocatable", "hard", "used", "overhead")


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
        if isinstance(source, str):
            self.path = path_of(source)
        elif callable(source):
            self.known = {}
        else:
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
        found = self.path.find(obj.parsed(), None)
        if type(found) is str:
            return found
        if type(found) is list:
            return collected([text_of_field(value) for value in <list>found])
        return None if found is None or type(found) is dict else text_of_field(found)

    cdef object old_values(self, Object old):
        if old is None:
            return None
        return self.known.get(old.key) if self.path is None else self.values_of(old)

    cdef int move(self, str key, object before, object now) except -1:
        """From the values it had to those it has; None for a row that was or is not there."""
        if self.path is None:
            if now is None:
                self.known.pop(key, None)
            else:
                self.known[key] = now
        move_key(self.postings, key, before, now)
        return 0


cdef int move_key(dict postings, str key, object before, object now) except -1:
    if before is now or before == now:
        return 0
    if before is not None:
        for value in before if type(before) is tuple else (before,):
            keys = <set>postings[value]
            (<set>keys).discard(key)
            if not keys:
                del postings[value]
    if now is not None:
        for value in now if type(now) is tuple else (now,):
            keys = postings.get(value)
            if keys is None:
                postings[value] = {key}
            else:
                (<set>keys).add(key)
    return 0


cdef object label_of(Object obj, str name):
    cdef PyObject *labels
    if obj is None:
        return None
    labels = PyDict_GetItemWithError(obj.metadata(), "labels")
    if labels == NULL or type(<object>labels) is not dict:
        return None
    return (<dict>labels).get(name)


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
        if self.labels is None and self.fields is None:
            return rows.between(start, end, self.limit, False)
        found = []
        while start.chunk < end.chunk or (start.chunk == end.chunk and start.row < end.row):
            stop = end
            if start.chunk < end.chunk:
                stop.chunk = start.chunk + 1
                stop.row = 0
            for obj in rows.between(start, stop, 0, False):
                if self.selects(<Object>obj):
                    found.append(obj)
                    if self.limit and len(found) == self.limit:
                        return found
            start.chunk += 1
            start.row = 0
        return found


# --- The cache --------------------------------------------------------------------------------------------------------


@cython.final
cdef class Cache:
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
            index.move(key, index.old_values(old), values[i])
            i += 1
        for name, postings in self.label_indexes.items():
            move_key(<dict>postings, key, label_of(old, name), label_of(obj, name))
        self.payload += len(obj.raw)
        if old is None:
            self.namespaces[obj.namespace] = self.namespaces.get(obj.namespace, 0) + 1
        else:
            self.payload -= len(old.raw)
        return old

    cdef Object remove(self, str key):
        cdef Object old = <Object>self.objects.pop(key, None)
        cdef Index index
        if old is None:
            return None
        self.rows.remove(key)
        for item in self.indexes.values():
            index = <Index>item
            index.move(key, index.old_values(old), None)
        for name, postings in self.label_indexes.items():
            move_key(<dict>postings, key, label_of(old, name), None)
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
        if self.log is not None and (old is not None or values is not None):
            self.log.record(type, obj, old, obj.resource_version)
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
        """`wanted` and `values` by key; nothing here can fail half-way but memory."""
        cdef list gone = sorted([key for key in self.objects if key not in wanted])
        cdef list logged = []
        cdef Object old, obj
        cdef WatchLog log = self.log
        for key in gone:
            old = self.remove(<str>key)
            if log is not None:
                logged.append(("DELETED", restamped_or_same(old, resource_version), old))
        for key, found in values.items():
            obj = <Object>wanted[key]
            old = self.upsert(obj, <list>found)
            logged.append(("ADDED" if old is None else "MODIFIED", obj, old))
        self.resource_version = resource_version
        for path in self.columns:
            self.columns[path] = None
        if log is not None:
            for type, item, before in logged:
                log.record(<str>type, <Object>item, <Object>before, resource_version)
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
            index.move(<str>key, None, index.values_of(<Object>obj))
        self.indexes[name] = index

    # --- Reading ---

    def get(self, str key not None):
        return self.objects.get(key)

    def get_many(self, keys):
        return [self.objects.get(key) for key in keys]

    def list(self, str namespace=None, label_selector=None, field_selector=None, *, Py_ssize_t limit=0,
             str after not None=""):
        cdef Query query = query_of(namespace, label_selector, field_selector, limit, after)
        cdef set keys
        cdef list found
        if query.labels is None and query.fields is None:
            return query.scan(self.rows)
        keys = self.candidates(query, None)
        # A page out of very many candidates is found sooner by walking the rows than by sorting them.
        if keys is None or (limit and len(keys) > 64 and len(keys) * len(keys) > 16 * limit * len(self.objects)):
            return query.scan(self.rows)
        found = []
        for key in sorted(keys):
            if query.covers(key):
                obj = self.objects[key]
                if query.selects(<Object>obj):
                    found.append(obj)
                    if len(found) == limit:
                        break
        return found

    cdef set candidates(self, Query query, list why):
        """The smallest set of keys that an index knows to hold all matches; None when no index helps."""
        cdef set best = None
        cdef Requirement requirement
        cdef Term term
        cdef str reason = "every row" if query.namespace is None else f"rows of namespace {query.namespace}"
        cdef Py_ssize_t size = len(self.objects) if query.namespace is None else self.namespaces.get(query.namespace, 0)
        cdef set keys
        if query.labels is not None:
            for item in query.labels.terms:
                requirement = <Requirement>item
                if requirement.operator == IN:
                    postings = self.label_index(requirement.key)
                    if postings is not None:
                        keys = gathered(<dict>postings, requirement.values)
                        if best is None and len(keys) <= size or best is not None and len(keys) < len(best):
                            best = keys
                            reason = f"label {requirement.key} in {requirement.values}"
        if query.fields is not None:
            for item in query.fields.terms:
                term = <Term>item
                keys = self.field_keys(query, term) if term.equal and term.value else None
                if keys is not None and (best is None or len(keys) < len(best)):
                    best = keys
                    reason = f"field {term.path.text}={term.value}"
        if why is not None:
            why.append((reason, size if best is None else len(best)))
        return best

    cdef object label_index(self, str name):
        cdef dict postings
        found = self.label_indexes.get(name)
        if found is not None:
            return found
        if len(self.label_indexes) >= MAX_LABEL_INDEXES or (self.writer and not self.is_writer()):
            return None
        postings = {}
        for key, obj in self.objects.items():
            move_key(postings, <str>key, None, label_of(<Object>obj, name))
        self.label_indexes[name] = postings
        return postings

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
            return len(self.index_keys(name, value))
        return len((<Index>self.indexes[name]).postings.get(value, ()))

    def index_values(self, str name not None):
        if name == "namespace" and "namespace" not in self.indexes:
            return sorted(self.namespaces)
        return sorted((<Index>self.indexes[name]).postings)

    def column(self, str path not None):
        found = self.columns[path]
        if found is None:
            found = self.columns[path] = column_of(self.rows, path_of(path))
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
        self.candidates(query, why)
        return f"{why[0][0]}: {why[0][1]} of {len(self.objects)} objects looked at"

    @property
    def nbytes(self):
        cdef long long held = self.payload + ROW_BYTES * len(self.objects) + sys.getsizeof(self.objects)
        tables = [(<Index>index).postings for index in self.indexes.values()]
        tables += self.label_indexes.values()
        for postings in tables:
            held += sys.getsizeof(postings)
            for keys in postings.values():
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


cdef Object restamped_or_same(Object old, long long resource_version):
    return restamped(old, resource_version) if resource_version else old


cdef set gathered(dict postings, tuple values):
    """The keys under any of the values; the set itself when there is one value."""
    if len(values) == 1:
        return postings.get(values[0], set())
    return set().union(*[postings[value] for value in values if value in postings])


# --- Columns ----------------------------------------------------------------------------------------------------------

SUFFIXES = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}


cdef object milli_units(object value):
    """A Kubernetes quantity ("500m", "2", "1Gi", 1.5) times 1000, rounded up; 0 when there is none."""
    from decimal import ROUND_CEILING, Decimal

    if value is None:
        return 0
    text = str(value)
    number = text.rstrip("numkKMGTPEi")
    suffix = text[len(number):]
    if suffix not in SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    return int((Decimal(number) * Decimal(SUFFIXES[suffix]) * 1000).to_integral_value(ROUND_CEILING))


cdef object column_of(Rows rows, Path path):
    import numpy

    cdef list values = [
        path.find((<Object>obj).parsed(), None)
        for obj in rows.between(rows.seek("", False), rows.seek(None, False), 0, False)
    ]
    if any([step in QUANTITY_PARENTS for step in path.steps]):
        return frozen(numpy.array([milli_units(value) for value in values], dtype=numpy.int64))
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, bool}:
        return frozen(numpy.array([value or 0 for value in values], dtype=numpy.int64))
    if kinds <= {int, bool, float}:
        return frozen(numpy.array([numpy.nan if value is None else value for value in values], dtype=numpy.float64))
    array = numpy.empty(len(values), dtype=object)
    array[:] = [None if value is None else text_of_field(value) for value in values]
    return frozen(array)


cdef object frozen(object array):
    array.flags.writeable = False
    return array


# --- Snapshots and replacements ---------------------------------------------------------------------------------------


@cython.final
cdef class Snapshot:
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
