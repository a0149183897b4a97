"""Server-side apply: managers say what they want to own, and the object becomes what their wishes add up to."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.api.body import parse_yaml
from engine.api.errors import Cause, StatusError, bad_request
from engine.api.fieldset import (
    Fields,
    difference,
    element_of,
    field_set,
    intersection,
    is_leaf,
    paths,
    union,
    with_named_fields,
    without_fields,
)
from engine.api.managedfields import UNTRACKED, Document, Entry, changes, in_order, make_entry, untouched
from engine.api.resource import Resource
from engine.api.schema import Schema

BEFORE_FIRST_APPLY = "before-first-apply"


class Applied(NamedTuple):
    """What an apply makes of an object, to be decoded, defaulted and stored like any other write; `changed` is false
    when the object is as it was, but for who owns what."""

    document: Document
    changed: bool


def parse_apply(
    data: bytes, resource: Resource, name: str, field_validation: str = "Warn"
) -> tuple[Document, list[str]]:
    """The configuration in the body of an apply patch, and what to warn of. StatusError 400 when it is none."""
    try:
        parsed = parse_yaml(data)
    except ValueError as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    config = parsed.value
    if not isinstance(config, dict):
        raise bad_request("error decoding YAML: error unmarshaling JSON: the patch is no object")
    warnings = parsed.yaml_duplicates
    if warnings and field_validation == "Strict":
        faults = "".join(f"\n  {fault}" for fault in warnings)
        raise bad_request(f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:{faults}")
    metadata = config.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise bad_request("error decoding YAML: metadata must be an object")
    api_version = config.get("apiVersion", "")
    if api_version != resource.api_version:
        raise bad_request(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {api_version}, expected: {resource.api_version}"
        )
    if config.setdefault("kind", resource.kind) != resource.kind:
        raise bad_request(
            f"the kind of the object ({config['kind']}) does not match the kind of the URL ({resource.kind})"
        )
    if metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    if metadata.setdefault("name", name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    return config, [] if field_validation == "Ignore" else warnings


def apply(
    live: Document | None,
    config: Document,
    manager: str,
    api_version: str,
    schema: Schema,
    *,
    force: bool = False,
    subresource: str = "",
    now: str | None = None,
    ignored: tuple[str, ...] | None = None,
) -> Applied:
    """Merges `config` into `live` (None: create) and takes away what the manager applied before and no longer does,
    unless someone else owns it. StatusError 409 with one cause per field when other managers own what would change and
    `force` is not set; 500 for a field that the schema does not have, as Kubernetes does. The arguments stay unchanged.

    `ignored` are top-level fields that this endpoint does not write (see `managedfields.track_update`).
    """
    if ignored is None:
        ignored = ("spec",) if subresource == "status" else ("status",)
    check_typed(config, schema, _title(config, api_version))
    before = live if live is not None else untouched(schema)
    entries: list[Entry] = list(before.get("metadata", {}).get("managedFields") or [])
    if live is not None and not entries:
        entries = _before_first_apply(live, api_version, schema, ignored, now)
    mine = next((entry for entry in entries if _is_mine(entry, manager, subresource)), None)
    others = [entry for entry in entries if entry is not mine]
    last: Fields = (mine or {}).get("fieldsV1") or {}

    wanted = _tracked(field_set(config, schema), ignored)
    owned = wanted
    for entry in others:
        owned = union(owned, entry.get("fieldsV1") or {})
    ours = {key: value for key, value in config.items() if key not in ignored}
    merged = _merge(_unmanaged(before), ours, schema)
    merged = _pruned(merged, last, owned, schema) if last else merged

    changed, removed = changes(_unmanaged(before), merged, schema, ignored)
    if not force:
        _refuse_conflicts(others, changed)
    taken = union(changed, removed)
    kept = []
    for entry in others:
        fields = entry.get("fieldsV1") or {}
        left = difference(fields, taken)
        if left:
            kept.append(entry if left is fields else {**entry, "fieldsV1": left})
    is_changed = live is None or bool(changed) or bool(removed)
    same_claim = mine is not None and last == wanted and mine.get("apiVersion") == api_version
    moment = mine.get("time") if mine is not None and same_claim and not is_changed else now
    if wanted:
        kept.append(make_entry(manager, "Apply", api_version, subresource, wanted, moment))
    merged["metadata"] = dict(merged.get("metadata") or {})
    if kept:
        merged["metadata"]["managedFields"] = in_order(kept)
    return Applied(merged, is_changed)


def _title(config: Document, api_version: str) -> str:
    metadata = config.get("metadata") or {}
    name = (
        f"{metadata['namespace']}/{metadata.get('name', '')}" if metadata.get("namespace") else metadata.get("name", "")
    )
    return f"({name}; {api_version}, Kind={config.get('kind', '')})"


def _unmanaged(document: Document) -> Document:
    metadata = {key: value for key, value in (document.get("metadata") or {}).items() if key != "managedFields"}
    return {**document, "metadata": metadata}


def _is_mine(entry: Entry, manager: str, subresource: str) -> bool:
    return (entry["operation"], entry.get("manager", ""), entry.get("subresource", "")) == (
        "Apply",
        manager,
        subresource,
    )


def _tracked(fields: Fields, ignored: tuple[str, ...]) -> Fields:
    fields = difference(fields, UNTRACKED)
    return {element: node for element, node in fields.items() if element[2:] not in ignored}


def _before_first_apply(
    live: Document, api_version: str, schema: Schema, ignored: tuple[str, ...], now: str | None
) -> list[Entry]:
    """An object that nobody tracked belongs to whoever wrote it before."""
    changed, _ = changes(untouched(schema), _unmanaged(live), schema, ignored)
    return [make_entry(BEFORE_FIRST_APPLY, "Update", api_version, "", changed, now)] if changed else []


def _refuse_conflicts(others: list[Entry], changed: Fields) -> None:
    found: dict[str, list[str]] = {}
    for entry in others:
        fields = intersection(entry.get("fieldsV1") or {}, changed)
        if listed := list(paths(fields)):
            found.setdefault(_manager_text(entry), []).extend(listed)
    if not found:
        return
    causes = [
        Cause("FieldManagerConflict", path, f"conflict with {manager}")
        for manager, listed in sorted(found.items())
        for path in listed
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        lines = []
        for manager, listed in sorted(found.items()):
            lines += [f"conflicts with {manager}:", *(f"- {path}" for path in listed)]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    raise StatusError(409, "Conflict", message, {}, causes)


def _manager_text(entry: Entry) -> str:
    text = f'"{entry.get("manager", "")}"'
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return f"{text} using {entry['apiVersion']}" if entry["operation"] == "Update" else text


# Types


def check_typed(value: Any, schema: Schema, title: str, path: str = "") -> None:
    """Refuses fields that the schema does not have, and associative lists whose items cannot be told apart."""

    def refuse(where: str, why: str) -> StatusError:
        return StatusError(500, "", f"failed to create typed patch object {title}: {where}: {why}")

    if value is None or schema.shape not in ("object", "map", "list"):
        return
    if schema.shape == "list":
        if not isinstance(value, list):
            raise refuse(path, f"expected list, got {value!r}")
        seen = set()
        for index, item in enumerate(value):
            where = f"{path}[{index}]"
            if schema.list_type != "atomic":
                element = element_of(schema)(item if schema.list_type == "set" or isinstance(item, dict) else {})
                shown = next(paths({element: {}}))
                where = path + shown
                if element == "k:{}":
                    why = "associative list with keys has an element that omits all key fields"
                    raise refuse(path, f"element {index}: {why} {list(schema.map_keys)}")
                if element in seen:
                    raise refuse(path, f"duplicate entries for key {shown}")
                seen.add(element)
            check_typed(item, schema.item, title, where)
        return
    if not isinstance(value, dict):
        raise refuse(path, f"expected map, got {value!r}")
    for key, item in value.items():
        child = schema.item if schema.shape == "map" else schema.fields.get(key)
        if child is None:
            raise refuse(f"{path}.{key}", "field not declared in schema")
        check_typed(item, child, title, f"{path}.{key}")


# Merging and pruning


def _merge(live: Any, config: Any, schema: Schema) -> Any:
    """`config` over `live`: leaves replace, objects and associative lists merge."""
    if is_leaf(schema) or not live or config is None or (not config and not live):
        return config
    if schema.shape == "list":
        return _merge_list(live, config, schema)
    out = dict(live)
    for key, value in config.items():
        child = schema.item if schema.shape == "map" else schema.fields[key]
        out[key] = _merge(live[key], value, child) if key in live else value
    return out


def _merge_list(live: list[Any], config: list[Any], schema: Schema) -> list[Any]:
    """Shared items take the configuration's order; what only the live list has stays before what followed it there."""
    element = element_of(schema)
    wanted = {element(item): item for item in config}
    there: dict[str, Any] = {}
    for item in live:
        there.setdefault(element(item), item)
    names = [element(item) for item in live]
    order = list(wanted)
    shared = [name for name in order if name in there]
    out: list[Any] = []
    placed: set[str] = set()
    left = right = turn = 0  # positions in the live list, the configuration's and the items of both
    while left < len(names) or right < len(order):
        if left < len(names):
            name = names[left]
            if name not in wanted:
                out.append(live[left])
                left += 1
                continue
            if name in placed or (right < len(order) and name != order[right] and shared[turn] != name):
                left += 1  # it is placed where the configuration has it
                continue
        if right < len(order):
            name = order[right]
            out.append(_merge(there[name], wanted[name], schema.item) if name in there else wanted[name])
            placed.add(name)
            right += 1
            turn += name in there
    return out


def _pruned(merged: Document, last: Fields, owned: Fields, schema: Schema) -> Document:
    """Takes away what the manager applied last time and nobody owns now, with what hangs below it unowned
    (defaults, which come back if they should)."""
    last_named = with_named_fields(last, schema)
    pruned = without_fields(merged, last_named, schema) or {}
    everything = with_named_fields(field_set(merged, schema), schema)
    claimed = union(with_named_fields(field_set(pruned, schema), schema), with_named_fields(owned, schema))
    pruned = without_fields(merged, difference(everything, claimed), schema) or {}
    left = with_named_fields(field_set(pruned, schema), schema)
    out: Document = without_fields(merged, intersection(difference(everything, left), last_named), schema) or {}
    return out
