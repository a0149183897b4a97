"""Which form a client sends and which it can read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from engine.api.errors import StatusError
from engine.server.refusals import not_acceptable, unsupported_patch

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
PATCH_TYPES: dict[str, Literal["json", "merge", "strategic", "apply"]] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
META_VERSIONS = ("v1", "v1beta1")

Shape = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"]
View = Literal["one", "list", "watch", "plain"]


@dataclass(frozen=True, slots=True)
class Representation:
    """How an answer is written: JSON or YAML, of the object itself or of a shape made from it."""

    media: str = JSON
    shape: Shape = ""
    meta_version: str = "meta.k8s.io/v1"


_SHAPES: dict[View, tuple[str, ...]] = {
    "one": ("Table", "PartialObjectMetadata"),
    "list": ("Table", "PartialObjectMetadataList"),
    "watch": ("Table", "PartialObjectMetadata"),
    "plain": (),
}
_PLAIN = Representation()


def accepted(header: str, view: View) -> Representation:
    """The first form in `header` that the server can give for this view. Raises StatusError 406 when there is none."""
    chosen = _accepted(header, view)
    if chosen is None:
        raise not_acceptable(f"{JSON}, {YAML}")
    return chosen


@lru_cache(maxsize=512)
def _accepted(header: str, view: View) -> Representation | None:
    if not header.strip():
        return _PLAIN
    for media, parameters in clauses(header):
        if media in (JSON, "*/*", "application/*"):
            media = JSON
        elif media != YAML or view == "watch":
            continue
        shape = parameters.get("as", "")
        if not shape:
            return Representation(media) if media != JSON else _PLAIN
        version = parameters.get("v", "v1")
        if shape in _SHAPES[view] and parameters.get("g") == "meta.k8s.io" and version in META_VERSIONS:
            return Representation(media, shape, f"meta.k8s.io/{version}")  # type: ignore[arg-type]
    return None


@lru_cache(maxsize=512)
def clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    """The media types of an Accept header with their parameters, best first; refused ones (q=0) are left out."""
    found: list[tuple[float, int, str, dict[str, str]]] = []
    for position, clause in enumerate(header.split(",")):
        media, *rest = (part.strip() for part in clause.split(";"))
        parameters = {name.strip(): value.strip().strip('"') for name, _, value in (p.partition("=") for p in rest)}
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 1.0
        if media and quality > 0:
            found.append((-quality, position, media.lower(), parameters))
    found.sort(key=lambda item: item[:2])
    return [(media, parameters) for _, _, media, parameters in found]


def body_media(header: str) -> str:
    """JSON or YAML, as the Content-Type says (JSON when it says nothing). Raises StatusError 415."""
    media = header.partition(";")[0].strip().lower()
    if media in ("", JSON):
        return JSON
    if media in (YAML, "text/yaml", "application/x-yaml"):
        return YAML
    why = f"the body of the request was in an unknown format - accepted media types include: {JSON}, {YAML}"
    if media == PROTOBUF:
        why += "; protobuf is not among them: write the object to a file and use `kubectl create -f FILE`"
    raise StatusError(415, "UnsupportedMediaType", why)


def patch_type(header: str) -> Literal["json", "merge", "strategic", "apply"]:
    """Raises StatusError 415 for anything that is no patch."""
    try:
        return PATCH_TYPES[header.partition(";")[0].strip().lower()]
    except KeyError:
        raise unsupported_patch() from None
