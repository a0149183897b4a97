"""Sets of fields, in the very form in which objects store them (`fieldsV1`), and how documents differ by them.

A set is a dict of path elements: `f:name` a field or map key, `k:{…}` the item of an associative list with these keys,
`v:…` a value of a list that is a set. An element's value `{}` says that it is in the set; `{".": {}, …}` that it is,
and some of what is below it; without the dot, only what is below. Sets are never changed in place: what two operations
share is shared. The rules are those of structured-merge-diff, which the API's documentation points at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from engine.api.schema import Schema

Fields = dict[str, Any]
Added = Callable[[Any], Fields]
Compare = Callable[[Any, Any], tuple[Fields | None, Fields | None]]

_ABSENT: Any = object()


# The algebra


def union(one: Fields, other: Fields) -> Fields:
    """What is in either."""
    if not other:
        return one
    out = dict(one)
    for element, node in other.items():
        mine = out.get(element)
        if mine is None:
            out[element] = node
        elif mine != node:
            out[element] = _join(mine, node)
    return out


def _join(one: Fields, other: Fields) -> Fields:
    member = not one or not other or "." in one or "." in other
    below = union(one, other)
    if member and below and "." not in below:
        return {".": {}, **below}
    return below


def difference(one: Fields, other: Fields) -> Fields:
    """What is in `one` and not in `other`. The very same object when they have nothing in common."""
    out = None
    for element in one.keys() & other.keys():
        if element == ".":
            continue
        mine, theirs = one[element], other[element]
        left = _without(mine, theirs)
        if left is mine:
            continue
        if out is None:
            out = dict(one)
        if left is None:
            del out[element]
        else:
            out[element] = left
    return one if out is None else out


def _without(mine: Fields, theirs: Fields) -> Fields | None:
    """A node less another; None when nothing is left."""
    theirs_is_member = not theirs or "." in theirs
    if not mine:
        return None if theirs_is_member else mine
    left = difference(mine, theirs)
    if theirs_is_member and "." in left:
        left = {element: node for element, node in left.items() if element != "."}
    if not left:
        return None
    return {} if len(left) == 1 and "." in left else left


def intersection(one: Fields, other: Fields) -> Fields:
    """What is in both."""
    out: Fields = {}
    for element, mine in one.items():
        theirs = other.get(element)
        if theirs is None or element == ".":
            continue
        member = (not mine or "." in mine) and (not theirs or "." in theirs)
        below = intersection(mine, theirs)
        if member:
            out[element] = {".": {}, **below} if below else {}
        elif below:
            out[element] = below
    return out


def paths(fields: Fields, prefix: str = "") -> Iterator[str]:
    """The members as Kubernetes writes them in conflicts: `.spec.containers[name="c"].image`."""
    for element in sorted(fields, key=_rank):
        if element == ".":
            continue
        node, path = fields[element], prefix + _shown(element)
        if not node or "." in node:
            yield path
        yield from paths(node, path)


def _rank(element: str) -> tuple[int, str]:
    return "fkvi".find(element[0]), element


def _shown(element: str) -> str:
    kind, _, text = element.partition(":")
    if kind == "f":
        return "." + text
    if kind == "k":
        keys = orjson.loads(text)
        return "[" + ",".join(f"{key}={orjson.dumps(keys[key]).decode()}" for key in sorted(keys)) + "]"
    return f"[={text}]" if kind == "v" else f"[{text}]"


def is_fields(value: Any) -> bool:
    """Whether something from outside is a set at all."""
    return isinstance(value, dict) and all(
        isinstance(key, str) and (key == "." or key[:2] in ("f:", "k:", "v:", "i:")) and is_fields(item)
        for key, item in value.items()
    )


# List items


def element_of(schema: Schema) -> Callable[[Any], str]:
    """How an item of this list is addressed, when its list is a set or a map; without any of the keys as `k:{}`."""
    cached: Callable[[Any], str] | None = schema.__dict__.get("element")
    if cached is None:
        cached = schema.__dict__["element"] = _value_element if schema.list_type == "set" else _key_element(schema)
    return cached


def _value_element(item: Any) -> str:
    return "v:" + orjson.dumps(item).decode()


def _key_element(schema: Schema) -> Callable[[Any], str]:
    keys, defaults = schema.map_keys, schema.key_defaults
    if len(keys) == 1 and not defaults:
        (only,) = keys
        start = f"k:{{{orjson.dumps(only).decode()}:"

        def single(item: Any) -> str:
            value = item.get(only) if item else None
            return f"{start}{orjson.dumps(value).decode()}}}" if value is not None else "k:{}"

        return single

    def several(item: Any) -> str:
        found = {}
        for key in keys:
            value = item.get(key) if item else None
            value = value if value is not None else defaults.get(key)
            if value is not None:
                found[key] = value
        return "k:" + orjson.dumps(found).decode()

    return several


# What a value adds


def added_of(schema: Schema) -> Added:
    """The closure that gives the node of a value that was not there: its member and everything below."""
    cached: Added | None = schema.__dict__.get("added")
    if cached is None:
        cached = schema.__dict__["added"] = _make_added(schema)
    return cached


def is_leaf(schema: Schema) -> bool:
    """Whether values of this schema are owned as a whole."""
    if schema.shape in ("object", "map"):
        return schema.atomic
    return schema.shape != "list" or schema.list_type == "atomic"


def _make_added(schema: Schema) -> Added:
    if is_leaf(schema):
        return lambda value: {}
    if schema.shape == "list":
        return _list_added(schema)
    children = schema.fields if schema.shape == "object" else {}
    map_item = schema.item if schema.shape == "map" else None
    if map_item is not None and is_leaf(map_item):
        return lambda value: {".": {}, **{"f:" + key: {} for key in value}} if value else {}
    table: dict[str, tuple[str, Added | None]] = {}

    def learn(key: str) -> tuple[str, Added | None]:
        child = children.get(key) or map_item
        entry = ("f:" + key, None if child is None or is_leaf(child) else added_of(child))
        if map_item is None:
            table[key] = entry
        return entry

    def added(value: Any) -> Fields:
        if not value:
            return {}
        out: Fields = {".": {}}
        for key, item in value.items():
            element, below = table.get(key) or learn(key)
            out[element] = below(item) if below is not None else {}
        return out

    return added


def _list_added(schema: Schema) -> Added:
    element, below = element_of(schema), added_of(schema.item)

    def added(value: Any) -> Fields:
        if not value:
            return {}
        out: Fields = {".": {}}
        for item in value:
            name = element(item)
            out[name] = below(item) if name not in out else {}  # an item that occurs twice is one leaf
        return out

    return added


# What differs


def compare_of(schema: Schema) -> Compare:
    """The closure that gives two nodes for an old and a new value: what the new one adds or changes, and what it lacks
    (None when nothing). It costs what differs, and one comparison of what does not."""
    cached: Compare | None = schema.__dict__.get("compare")
    if cached is None:
        cached = schema.__dict__["compare"] = _make_compare(schema)
    return cached


def _leaf_compare(old: Any, new: Any) -> tuple[Fields | None, Fields | None]:
    return (None, None) if old == new and type(old) is type(new) else ({}, None)


def _make_compare(schema: Schema) -> Compare:
    if is_leaf(schema):
        return _leaf_compare
    return _list_compare(schema) if schema.shape == "list" else _object_compare(schema)


def _object_compare(schema: Schema) -> Compare:
    children = schema.fields if schema.shape == "object" else {}
    map_item = schema.item if schema.shape == "map" else None

    def compare(old: Any, new: Any) -> tuple[Fields | None, Fields | None]:
        if old == new:
            return None, None
        if not old and not new:
            return {}, None
        changed: Fields = {}
        removed: Fields = {}
        old, new = old or {}, new or {}
        for key, item in new.items():
            before = old.get(key, _ABSENT)
            if before is item:
                continue
            child = children.get(key) or map_item
            if child is None:
                continue
            if before is _ABSENT:
                changed["f:" + key] = added_of(child)(item)
                continue
            more, less = compare_of(child)(before, item)
            if more is not None:
                changed["f:" + key] = more
            if less is not None:
                removed["f:" + key] = less
        for key in old.keys() - new.keys():
            child = children.get(key) or map_item
            if child is not None:
                removed["f:" + key] = added_of(child)(old[key])
        return changed or None, removed or None

    return compare


def _list_compare(schema: Schema) -> Compare:
    element, item_added, item_compare = element_of(schema), added_of(schema.item), compare_of(schema.item)

    def by_element(items: Any) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for item in items or ():
            found.setdefault(element(item), []).append(item)
        return found

    def compare_items(before: list[Any], after: list[Any]) -> tuple[Fields | None, Fields | None]:
        """Items of one element; duplicates stand for a single leaf."""
        if len(before) == 1 and len(after) == 1:
            return item_compare(before[0], after[0])
        if len(before) > 1 and len(after) > 1:
            return _leaf_compare(before, after)
        lone = before if len(before) == 1 else after
        whole = item_added(lone[0]) if len(lone) == 1 else None
        if len(after) < len(before):
            return whole if after else None, {} if len(before) > 1 else whole
        return {} if len(after) > 1 else whole, whole if before else None

    def compare(old: Any, new: Any) -> tuple[Fields | None, Fields | None]:
        if old == new:
            return None, None
        if not old and not new:
            return {}, None
        changed: Fields = {}
        removed: Fields = {}
        befores, afters = by_element(old), by_element(new)
        for name in befores | afters:
            more, less = compare_items(befores.get(name, []), afters.get(name, []))
            if more is not None:
                changed[name] = more
            if less is not None:
                removed[name] = less
        return changed or None, removed or None

    return compare


# What a document has


def field_set(value: Any, schema: Schema) -> Fields:
    """The leaves of a document, with the items of its associative lists: what applying it claims."""
    out: Fields = {}
    if schema.shape == "list":
        element = element_of(schema)
        for item in value or ():
            name = element(item)
            below = {} if name in out or is_leaf(schema.item) else field_set(item, schema.item)
            out[name] = {".": {}, **below} if below else {}
        return out
    for key, item in (value or {}).items():
        child = schema.item if schema.shape == "map" else schema.fields.get(key)
        if child is None:
            continue
        if is_leaf(child) or item is None or item == {}:
            out["f:" + key] = {}
        elif below := field_set(item, child):
            out["f:" + key] = below if schema.shape == "object" else {".": {}, **below}
    return out


def with_named_fields(fields: Fields, schema: Schema) -> Fields:
    """The same set, and every field of an object that has something of the set below it."""
    out: Fields = {}
    for element, node in fields.items():
        if element == ".":
            out["."] = {}
            continue
        child = _below(schema, element)
        below = with_named_fields(node, child) if child is not None else dict(node)
        if node and schema.shape == "object" and element.startswith("f:"):
            below["."] = {}
        out[element] = {} if len(below) == 1 and "." in below else below
    return out


def without_fields(value: Any, fields: Fields, schema: Schema) -> Any:
    """A copy of a document without the members of a set; None when nothing is left of it."""
    if is_leaf(schema) or not value:
        return value if schema.shape not in ("object", "map", "list") else None
    if schema.shape == "list":
        element = element_of(schema)
        items = [(item, fields.get(element(item))) for item in value]
        kept = [_cut(item, node, schema.item) for item, node in items if not _has(node)]
        return kept or None
    out = {}
    for key, item in value.items():
        node = fields.get("f:" + key)
        child = schema.item if schema.shape == "map" else schema.fields.get(key)
        if not _has(node) and child is not None:
            out[key] = _cut(item, node, child)
    return out or None


def _cut(item: Any, node: Fields | None, schema: Schema) -> Any:
    return item if node is None else without_fields(item, node, schema)


def _has(node: Fields | None) -> bool:
    return node is not None and (not node or "." in node)


def _below(schema: Schema, element: str) -> Schema | None:
    if schema.shape in ("map", "list"):
        return schema.item
    return schema.fields.get(element[2:])
