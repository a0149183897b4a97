"""Who set which field: `metadata.managedFields`, kept on every write.

One entry per (manager, operation, apiVersion, subresource). A write gives its manager every field that it added or
changed, and takes them from all others; fields that are gone leave every entry; an entry without fields goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import orjson

from engine.api.decode import zero
from engine.api.fieldset import Fields, added_of, compare_of, difference, is_fields, union
from engine.api.schema import Schema

Document = dict[str, Any]
Entry = dict[str, Any]

MAX_UPDATE_MANAGERS = 10
ANCIENT = "ancient-changes"  # what the oldest entries are folded into when there are more
MAX_MANAGER_LENGTH = 128

_UNTRACKED_METADATA = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
)  # fmt: skip
UNTRACKED: Fields = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {".": {}, **{"f:" + field: {} for field in _UNTRACKED_METADATA}},
}


def manager_name(field_manager: str, user_agent: str) -> str:
    """What a write without a `fieldManager` is filed under: the agent's name before its version."""
    return field_manager or user_agent.partition("/")[0][:MAX_MANAGER_LENGTH] or "unknown"


def track_update(
    new: Document,
    old: Document | None,
    manager: str,
    api_version: str,
    schema: Schema,
    subresource: str = "",
    now: str | None = None,
    ignored: Collection[str] | None = None,
) -> None:
    """Sets `new["metadata"]["managedFields"]` for a create (`old` is None), update or patch.

    To be called when `new` has its defaults, and before the server itself fills in fields that nobody is to own
    (`prepare_create`). Nothing of `old` is changed; what did not change is shared with it. `ignored` are top-level
    fields that this endpoint does not write: the status, or for the subresource `status` the spec, unless told
    otherwise. No `now` leaves the entry without a time, as Kubernetes does for the scale subresource.
    Costs one walk of a new object, or what differs from the old one.
    """
    metadata = new["metadata"]
    sent = metadata.pop("managedFields", None)
    live = old["metadata"].get("managedFields") or [] if old is not None else []
    entries = live if subresource else _entries_to_keep(sent, live)
    if old is not None and not entries:
        return  # tracking was cleared
    if ignored is None:
        ignored = ("spec",) if subresource == "status" else ("status",)
    changed, removed = changes(old if old is not None else untouched(schema), new, schema, ignored)
    if changed or removed:
        key = (manager, "Update", api_version, subresource)
        entries = list(_reassigned(entries, key, changed, removed))
        if changed:
            entries = _claimed(entries, key, changed, now)
        entries = capped(entries)
    if entries:
        metadata["managedFields"] = entries


def keep_times(new: Document, old: Document) -> None:
    """Gives `new` the times of `old` when nothing else differs between the two, so that a write that comes to nothing
    (what it changed was reset, or was the same in other words) is seen to be none. To be called last."""
    entries, before = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not entries or not before or entries == before or len(entries) != len(before):
        return
    if any({**one, "time": None} != {**other, "time": None} for one, other in zip(entries, before, strict=True)):
        return
    kept = {**new, "metadata": {**new["metadata"], "managedFields": before}}
    if kept == old:
        new["metadata"]["managedFields"] = before


def untouched(schema: Schema) -> Document:
    """The object before anyone wrote it: what a create is compared with. Shared; nobody may change it."""
    cached: Document | None = schema.__dict__.get("untouched")
    if cached is None:
        cached = schema.__dict__["untouched"] = zero(schema)
    return cached


def changes(old: Document, new: Document, schema: Schema, ignored: Collection[str] = ()) -> tuple[Fields, Fields]:
    """What `new` adds or changes, and what it lacks, without what is never tracked."""
    changed: Fields = {}
    removed: Fields = {}
    for field, child in schema.fields.items():
        if field in ignored or field in ("kind", "apiVersion"):
            continue
        before, after = old.get(field), new.get(field)
        if before is after:
            continue
        if field == "metadata":
            before, after = _tracked_metadata(before), _tracked_metadata(after)
        more: Fields | None = None
        less: Fields | None = None
        if field not in old:
            more = added_of(child)(after)
        elif field not in new:
            less = added_of(child)(before)
        else:
            more, less = compare_of(child)(before, after)
        if more is not None:
            changed["f:" + field] = more
        if less is not None:
            removed["f:" + field] = less
    return changed, removed


def _tracked_metadata(metadata: Document | None) -> Document:
    return {key: value for key, value in (metadata or {}).items() if key not in _UNTRACKED_METADATA}


# Entries


def _key(entry: Entry) -> tuple[str, str, str, str]:
    applied = entry["operation"] == "Apply"
    api_version = "" if applied else entry["apiVersion"]
    return entry.get("manager", ""), entry["operation"], api_version, entry.get("subresource", "")


def _entries_to_keep(sent: Any, live: list[Entry]) -> list[Entry]:
    """What a client's object says of its fields, if it says anything that can be read; `[{}]` clears all."""
    if not sent or sent == live:
        return live
    if len(sent) == 1 and not any(sent[0].values()):
        return []
    return sent if all(_is_entry(entry) for entry in sent) else live


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and entry.get("operation") in ("Apply", "Update")
        and bool(entry.get("apiVersion"))
        and entry.get("fieldsType") == "FieldsV1"
        and is_fields(entry.get("fieldsV1", {}))
    )


def _reassigned(
    entries: Iterable[Entry], key: tuple[str, str, str, str], changed: Fields, removed: Fields
) -> Iterable[Entry]:
    """The entries without what is gone, and the others' without what the writer took."""
    taken = union(changed, removed)
    for entry in entries:
        fields = entry.get("fieldsV1") or {}
        left = difference(fields, removed if _key(entry) == key else taken)
        if left is fields:
            yield entry
        elif left:
            yield {**entry, "fieldsV1": left}


def _claimed(entries: list[Entry], key: tuple[str, str, str, str], changed: Fields, now: str | None) -> list[Entry]:
    """The entries with the writer's own, which has what it had and what it changed."""
    others = [entry for entry in entries if _key(entry) != key]
    mine = next((entry for entry in entries if _key(entry) == key), None)
    fields = union(mine["fieldsV1"], changed) if mine is not None else changed
    manager, operation, api_version, subresource = key
    return in_order([*others, make_entry(manager, operation, api_version, subresource, fields, now)])


def make_entry(
    manager: str, operation: str, api_version: str, subresource: str, fields: Fields, now: str | None
) -> Entry:
    entry: Entry = {"manager": manager, "operation": operation, "apiVersion": api_version}
    if now:
        entry["time"] = now
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = fields
    if subresource:
        entry["subresource"] = subresource
    return entry


def in_order(entries: list[Entry]) -> list[Entry]:
    """Appliers first, then by time, manager, version and subresource."""
    if len(entries) < 2:
        return entries

    def rank(entry: Entry) -> tuple[str, str, str, str, str]:
        moment = entry.get("time") or ""
        return entry["operation"], moment, entry.get("manager", ""), entry["apiVersion"], entry.get("subresource", "")

    return sorted(entries, key=rank)


def capped(entries: list[Entry]) -> list[Entry]:
    """At most MAX_UPDATE_MANAGERS updaters: the oldest of each version are folded into one."""
    updaters = [entry for entry in entries if entry["operation"] == "Update"]
    surplus = len(updaters) - MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return entries
    updaters.sort(key=lambda entry: (entry.get("time") or "", orjson.dumps(_key(entry))))
    kept = {_key(entry): entry for entry in entries}
    first_of_version: dict[str, tuple[str, str, str, str]] = {}
    for entry in updaters:
        if surplus <= 0:
            break
        version = entry["apiVersion"]
        if version not in first_of_version:
            first_of_version[version] = _key(entry)
            continue
        bucket = (ANCIENT, "Update", version, "")
        base = kept.get(bucket) or kept.pop(first_of_version[version])
        fields = union(base["fieldsV1"], kept.pop(_key(entry))["fieldsV1"])
        kept[bucket] = make_entry(ANCIENT, "Update", version, "", fields, entry.get("time"))
        surplus -= 1
    return in_order(list(kept.values()))
