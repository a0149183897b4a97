"""Strategic merge patch: JSON merge patch that knows the schema's merge keys, and its directives.

The rules are those of Kubernetes' page "Update API objects in place using kubectl patch" and its design document on
directives: `$patch`, `$retainKeys`, `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.api.errors import GenericRefusal, StatusError, bad_request
from engine.api.schema import ANY, Schema

Document = dict[str, Any]
Key = Callable[[Any], Any]

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder/"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"


def apply(document: Document, patch: Document, schema: Schema) -> Document:
    """The patched document; what the patch does not touch is shared with the original."""
    return _merge_object(document, patch, schema)


def _merge_object(original: Document, patch: Document, schema: Schema) -> Document:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        replacement: Document = _plain(patch)
        return replacement
    if directive == "delete":
        return {}
    if DIRECTIVE in patch and directive != "merge":
        raise _failed(f"unknown patch type: {directive} in map: {patch}")
    out = dict(original)
    _retain_keys(out, patch)
    for key in [key for key in patch if key.startswith(SET_ORDER)]:
        _merge_ordered(out, patch, key, schema)
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN_KEYS) or key.startswith(SET_ORDER) or SET_ORDER + key in patch:
            continue
        if key.startswith(DELETE_PRIMITIVES):
            _delete_primitives(out, key.removeprefix(DELETE_PRIMITIVES), value)
        elif value is None:
            out.pop(key, None)
        else:
            _merge_field(out, key, value, _child(schema, key))
    return out


def _merge_field(out: Document, key: str, value: Any, schema: Schema) -> None:
    before = out.get(key)
    if isinstance(before, dict) and isinstance(value, dict):
        replaces = "replace" in schema.patch_strategies
        out[key] = _plain(value) if replaces else _merge_object(before, value, schema)
    elif isinstance(before, list) and isinstance(value, list):
        out[key] = _merge_list(before, value, schema)
    elif isinstance(value, dict | list):
        out[key] = _plain(value)
    else:
        out[key] = value


def _child(schema: Schema, key: str) -> Schema:
    if schema.shape == "map":
        return schema.item
    return schema.fields.get(key, ANY)


# Lists


def _merge_list(original: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    if "merge" not in schema.patch_strategies:
        return [_plain(item) for item in patch]
    if not original and not patch:
        return original
    items = [*original, *patch]
    if any(isinstance(item, list) for item in items):
        raise _unfit()
    if not any(isinstance(item, dict) for item in items):
        merged = list(dict.fromkeys(items))
        return _in_order(merged, patch, original, lambda item: item)
    if not all(isinstance(item, dict) for item in items):
        raise _unfit()
    if not schema.merge_key:
        raise _failed(f"cannot merge lists without merge key for {schema.definition or 'list'}")
    key = _key_of(schema.merge_key)
    original, patch = _without_directives(original, patch, key)
    merged_objects = {key(item): item for item in original}
    for item in patch:
        name = key(item)
        if name in merged_objects:
            merged_objects[name] = _merge_object(merged_objects[name], item, schema.item)
        else:
            merged_objects[name] = _plain(item)
    return _in_order(list(merged_objects.values()), patch, original, key)


def _without_directives(original: list[Any], patch: list[Any], key: Key) -> tuple[list[Any], list[Any]]:
    """Carries out `$patch` of list items: what is deleted leaves the original, `replace` empties it."""
    gone = set()
    replace = False
    kept = []
    for item in patch:
        directive = item.get(DIRECTIVE)
        if directive == "delete":
            gone.add(key(item))
        elif directive == "replace":
            replace = True
        elif directive is None:
            kept.append(item)
        elif directive == "merge":
            raise _failed("merging lists cannot yet be specified in the patch")
        else:
            raise _failed(f"unknown patch type: {directive} in map: {item}")
    if replace:
        return [], kept
    return [item for item in original if not gone or key(item) not in gone], kept


def _merge_ordered(out: Document, patch: Document, directive: str, schema: Schema) -> None:
    """`$setElementOrder/<list>`: merges the list, then puts it in the wanted order; what only the server has keeps its
    place relative to its neighbours."""
    name = directive.removeprefix(SET_ORDER)
    order = patch[directive]
    child = _child(schema, name)
    before, change = out.get(name), patch.get(name)
    if not isinstance(order, list):
        raise bad_request("invalid patch format of setElementOrder list")
    if (before is not None and not isinstance(before, list)) or (change is not None and not isinstance(change, list)):
        raise bad_request("invalid patch format of setElementOrder list")
    if name in patch and change is None:
        out.pop(name, None)
        return
    if before is None and change is None:
        return
    key: Key = _key_of(child.merge_key) if child.merge_key else lambda item: item
    _check_order(change or [], order, key)
    if before is None:
        merged = [_plain(item) for item in change or [] if not _is_deletion(item)]
    else:
        merged = _merge_list(before, change, child) if change is not None else before
    out[name] = _in_order(merged, order, before or [], key)


def _check_order(change: list[Any], order: list[Any], key: Key) -> None:
    wanted = [key(item) for item in order]
    position = 0
    for item in change:
        if _is_deletion(item) or (isinstance(item, dict) and item.get(DIRECTIVE) == "replace"):
            continue
        try:
            position = wanted.index(key(item), position) + 1
        except ValueError:
            raise _failed(
                f"The order in patch list:\n{change}\n doesn't match {SET_ORDER[:-1]} list:\n{order}\n"
            ) from None


def _in_order(merged: list[Any], patch_order: list[Any], server_order: list[Any], key: Key) -> list[Any]:
    """Patch items in the patch's order, the others in the server's; the server's also decides between
    two that it knows."""
    wanted = {key(item): index for index, item in enumerate(patch_order) if not _is_deletion(item)}
    known = {key(item): index for index, item in enumerate(server_order)}
    ours = sorted((item for item in merged if key(item) in wanted), key=lambda item: wanted[key(item)])
    others = [item for item in merged if key(item) not in wanted]
    others.sort(key=lambda item: known.get(key(item), len(known)))
    out: list[Any] = []
    for item in ours:
        place = known.get(key(item))
        while place is not None and others and known.get(key(others[0]), len(known)) < place:
            out.append(others.pop(0))
        out.append(item)
    return out + others


def _delete_primitives(out: Document, name: str, values: Any) -> None:
    before = out.get(name)
    if not isinstance(values, list):
        raise bad_request("invalid patch format of primitive list")
    if isinstance(before, list):
        out[name] = [item for item in before if item not in values]


# Directives


def _retain_keys(out: Document, patch: Document) -> None:
    if RETAIN_KEYS not in patch:
        return
    keys = patch[RETAIN_KEYS]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise bad_request("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and key not in keys and not key.startswith("$"):
            raise bad_request("invalid patch format of retainKeys")
    for key in [key for key in out if key not in keys]:
        del out[key]


def _plain(value: Any) -> Any:
    """A value that has no counterpart in the original: without nulls and directives."""
    if isinstance(value, dict):
        return {
            key: _plain(item)
            for key, item in value.items()
            if item is not None
            and key not in (DIRECTIVE, RETAIN_KEYS)
            and not key.startswith((SET_ORDER, DELETE_PRIMITIVES))
            and not _is_deletion(item)
        }
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_deletion(item)]
    return value


def _is_deletion(item: Any) -> bool:
    return isinstance(item, dict) and item.get(DIRECTIVE) == "delete"


def _key_of(merge_key: str) -> Key:
    def key(item: Any) -> Any:
        value = item.get(merge_key) if isinstance(item, dict) else None
        if value is None or isinstance(value, dict | list):
            raise _failed(f"map: {item} does not contain declared merge key: {merge_key}")
        return value

    return key


def _unfit() -> StatusError:
    return GenericRefusal(422, "Invalid", "the server rejected our request due to an error in our request")


def _failed(message: str) -> StatusError:
    """A patch that cannot be carried out. Kubernetes answers such a one with 500 and the bare reason."""
    return StatusError(500, "", message)
