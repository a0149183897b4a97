"""Rules of volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.api.errors import Cause
from engine.api.kinds.downward_validation import VOLUME_PATHS, check_field, check_resource
from engine.api.quantity import parse
from engine.api.validation import dns1123_label, duplicate, each_invalid, forbidden, invalid, not_supported, required

Values = dict[str, Any]
Check = Callable[[Values, str, list[Cause]], None]

# The sources in the order in which they are judged, and how a message names those that it misspells.
_ORDER = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
    "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
)  # fmt: skip
_RANKS = {name: rank for rank, name in enumerate(_ORDER)}
_MISSPELT = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}

_HOST_PATHS = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
_BAD_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_CONFLICT = "conflicting duplicate paths"
_TOKEN_SECONDS_LEAST, _TOKEN_SECONDS_MOST = 600, 1 << 32


def check_volumes(volumes: list[Values], path: str, causes: list[Cause]) -> dict[str, Values]:
    """Adds the faults, and returns by name the volumes without any: those that containers can mount."""
    sound: dict[str, Values] = {}
    for index, volume in enumerate(volumes):
        before = len(causes)
        name = volume.get("name")
        _check_source(volume, f"{path}[{index}]", causes)
        if not name:
            causes.append(required(f"{path}[{index}].name"))
        elif messages := dns1123_label(name):
            causes += each_invalid(f"{path}[{index}].name", name, messages)
        if name in sound:
            causes.append(duplicate(f"{path}[{index}].name", name))
        if name and len(causes) == before:
            sound[name] = volume
    return sound


def _check_source(volume: Values, path: str, causes: list[Cause]) -> None:
    found = [name for name in volume if name in _RANKS]
    if len(found) > 1:
        found.sort(key=_RANKS.__getitem__)
        causes += [
            forbidden(f"{path}.{_MISSPELT.get(name, name)}", "may not specify more than 1 volume type")
            for name in found[1:]
        ]
    if not found:
        causes.append(required(path, "must specify a volume type"))
    elif check := _CHECKS.get(found[0]):
        check(volume[found[0]] or {}, f"{path}.{found[0]}", causes)


def _needs(*members: str) -> Check:
    def check(source: Values, path: str, causes: list[Cause]) -> None:
        causes += [required(f"{path}.{member}") for member in members if not source.get(member)]

    return check


def _check_empty_dir(source: Values, path: str, causes: list[Cause]) -> None:
    if (limit := source.get("sizeLimit")) is not None and parse(limit) < 0:
        causes.append(forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def _check_host_path(source: Values, path: str, causes: list[Cause]) -> None:
    if not source.get("path"):
        causes.append(required(f"{path}.path"))
        return
    check_no_backsteps(source["path"], f"{path}.path", causes)
    if (type_ := source.get("type")) is not None and type_ not in _HOST_PATHS:
        causes.append(not_supported(f"{path}.type", type_, _HOST_PATHS))


def _check_nfs(source: Values, path: str, causes: list[Cause]) -> None:
    _needs("server", "path")(source, path, causes)
    if not source.get("path", "").startswith("/"):
        causes.append(invalid(f"{path}.path", source.get("path", ""), "must be an absolute path"))


def _of_keys(name: str) -> Check:
    """The source of files from a ConfigMap or Secret, which `name` names."""

    def check(source: Values, path: str, causes: list[Cause]) -> None:
        if not source.get(name):
            causes.append(required(f"{path}.{name}"))
        _check_mode(source.get("defaultMode"), f"{path}.defaultMode", causes)
        for index, item in enumerate(source.get("items") or ()):
            _check_item(item, f"{path}.items[{index}]", causes)

    return check


def _check_mode(mode: int | None, path: str, causes: list[Cause]) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        causes.append(invalid(path, mode, _BAD_MODE))


def _check_item(item: Values, path: str, causes: list[Cause]) -> None:
    _needs("key", "path")(item, path, causes)
    _check_unreserved(item.get("path") or "", f"{path}.path", causes)
    _check_mode(item.get("mode"), f"{path}.mode", causes)


def _check_downward(source: Values, path: str, causes: list[Cause]) -> None:
    _check_mode(source.get("defaultMode"), f"{path}.defaultMode", causes)
    for item in source.get("items") or ():
        _check_downward_item(item, path, causes)


def _check_downward_item(item: Values, path: str, causes: list[Cause]) -> None:
    """Kubernetes names the list, not the item."""
    file, field, resource = item.get("path") or "", item.get("fieldRef"), item.get("resourceFieldRef")
    if not file:
        causes.append(required(f"{path}.path"))
    _check_unreserved(file, f"{path}.path", causes)
    if field is not None:
        check_field(field, VOLUME_PATHS, f"{path}.fieldRef", causes)
        if resource is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            causes.append(invalid(path, "resource", why))
    elif resource is not None:
        check_resource(resource, f"{path}.resourceFieldRef", causes, of_volume=True)
    else:
        causes.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    _check_mode(item.get("mode"), f"{path}.mode", causes)


def _check_projected(source: Values, path: str, causes: list[Cause]) -> None:
    _check_mode(source.get("defaultMode"), f"{path}.defaultMode", causes)
    taken: set[str] = set()
    for index, projection in enumerate(source.get("sources") or ()):
        where = f"{path}.sources[{index}]"
        for member in ("secret", "configMap"):
            if (keys := projection.get(member)) is not None:
                _of_keys("name")(keys, f"{where}.{member}", causes)
                _check_taken(keys, keys.get("name", ""), taken, path, causes)
        if (downward := projection.get("downwardAPI")) is not None:
            _check_downward(downward, f"{where}.downwardAPI", causes)
            _check_taken(downward, None, taken, path, causes)
        if (token := projection.get("serviceAccountToken")) is not None:
            _check_token(token, path, f"{where}.serviceAccountToken", causes)
        if len(projection) > 1:
            causes.append(forbidden(where, "may not specify more than 1 volume type per source"))


def _check_taken(source: Values, name: str | None, taken: set[str], path: str, causes: list[Cause]) -> None:
    """No two projections write the same file."""
    for item in source.get("items") or ():
        file = item.get("path")
        if file in taken:
            causes.append(invalid(path, file if name is None else name, _CONFLICT))
        elif file:
            taken.add(file)


def _check_token(token: Values, volume_path: str, path: str, causes: list[Cause]) -> None:
    seconds = token.get("expirationSeconds", 3600)
    if seconds < _TOKEN_SECONDS_LEAST:
        why = "may not specify a duration less than 10 minutes"
        causes.append(invalid(f"{path}.expirationSeconds", seconds, why))
    if seconds > _TOKEN_SECONDS_MOST:
        why = "may not specify a duration larger than 2^32 seconds"
        causes.append(invalid(f"{path}.expirationSeconds", seconds, why))
    if not token.get("path"):
        causes.append(required(f"{volume_path}.path"))
    else:
        _check_unreserved(token["path"], f"{volume_path}.path", causes)


def check_no_backsteps(path: str, field: str, causes: list[Cause]) -> None:
    if ".." in path and ".." in path.split("/"):
        causes.append(invalid(field, path, "must not contain '..'"))


def check_descending(path: str, field: str, causes: list[Cause]) -> None:
    """A relative path that stays below where it starts."""
    if path.startswith("/"):
        causes.append(invalid(field, path, "must be a relative path"))
    check_no_backsteps(path, field, causes)


def _check_unreserved(path: str, field: str, causes: list[Cause]) -> None:
    check_descending(path, field, causes)
    if path.startswith("..") and not path.startswith("../"):
        causes.append(invalid(field, path, "must not start with '..'"))


_CHECKS: Mapping[str, Check] = {
    "emptyDir": _check_empty_dir,
    "hostPath": _check_host_path,
    "nfs": _check_nfs,
    "secret": _of_keys("secretName"),
    "configMap": _of_keys("name"),
    "downwardAPI": _check_downward,
    "projected": _check_projected,
    "persistentVolumeClaim": _needs("claimName"),
    "csi": _needs("driver"),
    "ephemeral": _needs("volumeClaimTemplate"),
}
