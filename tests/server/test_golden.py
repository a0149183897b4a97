"""Replays what a real kube-apiserver answered, in order, and tells where this server answers otherwise.

The recording stands outside the repository: ENGINE_GOLDEN names its directory, `../shared/golden` beside the repository
is the default. Volatile values (uids, versions, times, ages, generated names, addresses) are masked on both sides;
where a request used a value of an earlier answer, this server's own value is sent instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.server.serving import Answer, serving

GOLDEN = Path(os.environ.get("ENGINE_GOLDEN", Path(__file__).parents[3] / "shared" / "golden")) / "api.json"
LEAST_BODIES = 150

# Every exchange whose body differs, and why. One that starts to agree has to leave this table.
UNSERVED = "groups, resources and subresources that are not served are not discovered"
NO_PROTOBUF = "protobuf is not offered, so it is not listed"
DIFFERENCES = {
    "apis legacy": UNSERVED,
    "core v1 resources": UNSERVED,
    "apps v1 resources": UNSERVED,
    "batch v1 resources": UNSERVED,
    "api aggregated": UNSERVED,
    "apis aggregated": UNSERVED,
    "accept unknown": NO_PROTOBUF,
    "content type unknown": NO_PROTOBUF,
    "pod immutable field": "the message ends in a difference of Go structs, which nothing here has",
}
DISCOVERY = tuple(name for name, why in DIFFERENCES.items() if why is UNSERVED)

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
AGE = re.compile(r"\b\d+[smhdy](\d+[smhdy])?\b")
GENERATED = re.compile(r"\bgen-[a-z0-9]{5}\b")
CURRENT = re.compile(r"(current: |ResourceVersion: )\d+")
GO_WORDING = re.compile(r"(json: |invalid character |unexpected end of JSON).*", re.DOTALL)
SHORTENED = re.compile(r"…\s*\((\d+) bytes\)$")


@dataclass
class Outcome:
    """How one exchange agrees. `difference` says where the bodies part."""

    name: str
    status: bool
    reason: bool
    body: bool
    difference: str = ""
    wanted: Any = None
    got: Any = None


@dataclass
class Replay:
    """What this server said where the recording has something else."""

    values: dict[str, str] = field(default_factory=dict)  # uids, tokens: recorded → ours
    versions: dict[str, str] = field(default_factory=dict)
    created: dict[str, str] = field(default_factory=dict)  # our uid → our creationTimestamp

    def learn(self, recorded: Any, ours: Any, key: str = "") -> None:
        if isinstance(recorded, dict) and isinstance(ours, dict):
            if "uid" in ours and "creationTimestamp" in ours:
                self.created[ours["uid"]] = ours["creationTimestamp"]
            for name in recorded.keys() & ours.keys():
                self.learn(recorded[name], ours[name], name)
        elif isinstance(recorded, list) and isinstance(ours, list):
            for one, other in zip(recorded, ours, strict=False):
                self.learn(one, other, key)
        elif key == "resourceVersion" and isinstance(ours, str):
            self.versions[recorded] = ours
        elif key in ("uid", "continue") and isinstance(ours, str):
            self.values[recorded] = ours

    def path(self, path: str) -> str:
        for recorded, ours in self.values.items():
            path = path.replace(recorded, ours)
        return re.sub(r"(?<=[?&]resourceVersion=)\d+", lambda m: self.versions.get(m[0], m[0]), path)

    def body(self, body: str | None) -> str | None:
        if body is None:
            return None
        if cut := SHORTENED.search(body):
            kept = body[: cut.start()]
            return kept + "x" * (int(cut[1]) - len(kept) - 3) + '"}}'
        for recorded, ours in self.values.items():
            body = body.replace(recorded, ours)
        pattern = r'(?<="resourceVersion": ")\d+'
        body = re.sub(pattern, lambda m: self.versions.get(m[0], m[0]), body)
        for uid, moment in self.created.items():
            if uid in body:
                body = re.sub(r'(?<="creationTimestamp": ")[^"]*', moment, body)
        return body


def masked(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: masked(item, name) for name, item in value.items() if name != "description"}
    if isinstance(value, list):
        return [masked(item, key) for item in value]
    if not isinstance(value, str):
        return value
    if key == "resourceVersion" and value.isdigit() and value != "0":
        return "<version>"
    if key in ("continue", "serverAddress"):
        return f"<{key}>"
    if key == "message":
        value = GO_WORDING.sub("<go>", value)
    for pattern, mask in ((UUID, "<uid>"), (TIME, "<time>"), (GENERATED, "<generated>"), (CURRENT, r"\1<n>")):
        value = pattern.sub(mask, value)
    # Ages last: parts of a uid look like one.
    return AGE.sub("<age>", value) if key in ("cells", "") else value


def difference(wanted: Any, got: Any, path: str = "") -> str:
    """The first place where they differ; "" when they don't."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for name in sorted(wanted.keys() | got.keys()):
            if name not in got:
                return f"{path}.{name}: missing {json.dumps(wanted[name])[:200]}"
            if name not in wanted:
                return f"{path}.{name}: not expected {json.dumps(got[name])[:200]}"
            if found := difference(wanted[name], got[name], f"{path}.{name}"):
                return found
        return ""
    if isinstance(wanted, list) and isinstance(got, list):
        for index, (one, other) in enumerate(zip(wanted, got, strict=False)):
            if found := difference(one, other, f"{path}[{index}]"):
                return found
        return "" if len(wanted) == len(got) else f"{path}: {len(wanted)} items, got {len(got)}"
    same = wanted == got and isinstance(wanted, bool) == isinstance(got, bool)
    return "" if same else f"{path}: {json.dumps(wanted)[:400]}, got {json.dumps(got)[:400]}"


def parsed(answer: Answer, recorded: Any) -> Any:
    text = answer.body.decode()
    if isinstance(recorded, list):
        return answer.events
    if isinstance(recorded, dict) and recorded.keys() == {"text"}:
        return {"text": text}
    try:
        return json.loads(text)
    except ValueError:
        return {"text": text}


def without_text(body: Any, content_type: str) -> Any:
    return yaml.safe_load(body["text"]) if content_type.startswith("application/yaml") else body


def compare(exchange: dict[str, Any], answer: Answer, ours: Any) -> Outcome:
    recorded = exchange["response"]
    wanted_type, got_type = recorded["content_type"], answer.content_type
    wanted = masked(without_text(recorded["body"], wanted_type))
    got = masked(without_text(ours, got_type) if wanted_type.startswith("application/yaml") else ours)
    if exchange["name"] == "version":
        wanted, got = (
            {"major": body["major"], "strings": {type(v).__name__ for v in body.values()}} for body in (wanted, got)
        )
        wanted["strings"], got["strings"] = sorted(wanted["strings"]), sorted(got["strings"])
    found = difference(wanted, got) or difference(recorded["warning"] or [], answer.warnings, "warning")
    status = answer.status == recorded["status"] and got_type == wanted_type
    return Outcome(exchange["name"], status, reason_of(wanted) == reason_of(got), not found, found, wanted, got)


def reason_of(body: Any) -> Any:
    if not isinstance(body, dict) or body.get("kind") != "Status":
        return None
    return body.get("reason"), (body.get("details") or {}).get("causes")


async def replay(pki: Path) -> list[Outcome]:
    outcomes = []
    known = Replay()
    async with serving(pki, future_seconds=0.05) as served:
        for exchange in json.loads(GOLDEN.read_text()):
            asked, recorded = exchange["request"], exchange["response"]
            headers = dict(asked["headers"])
            token = None if asked["authenticated"] else headers.pop("Authorization", "").removeprefix("Bearer ")
            answer = await served.ask(
                asked["method"], known.path(asked["path"]), known.body(asked["body"]), headers=headers, token=token
            )
            ours = parsed(answer, recorded["body"])
            known.learn(recorded["body"], ours)
            outcomes.append(compare(exchange, answer, ours))
    return outcomes


@pytest.fixture(scope="module")
def outcomes(pki: Path, figure: Callable[[str], None]) -> list[Outcome]:
    if not GOLDEN.exists():
        pytest.skip(f"There is no recording of a real kube-apiserver at {GOLDEN}: set ENGINE_GOLDEN to its directory.")
    found = asyncio.run(replay(pki))
    count = len(found)
    for part in ("status", "reason", "body"):
        agree = sum(getattr(outcome, part) for outcome in found)
        figure(f"recorded exchanges with kube-apiserver 1.36: {part:6} {agree} of {count} agree")
    return found


def test_every_status_code_and_content_type_agrees(outcomes: list[Outcome]) -> None:
    assert [outcome.name for outcome in outcomes if not outcome.status] == []


def test_reasons_and_causes_agree_but_for_the_listed_differences(outcomes: list[Outcome]) -> None:
    parted = {outcome.name for outcome in outcomes if not outcome.reason}
    assert parted - DIFFERENCES.keys() == set()


def test_most_bodies_agree(outcomes: list[Outcome]) -> None:
    assert sum(outcome.body for outcome in outcomes) >= LEAST_BODIES


def test_each_body_that_differs_is_listed_with_its_reason(outcomes: list[Outcome]) -> None:
    parted = {outcome.name: outcome.difference for outcome in outcomes if not outcome.body}
    assert {name: where for name, where in parted.items() if name not in DIFFERENCES} == {}


def test_no_listed_difference_has_become_an_agreement(outcomes: list[Outcome]) -> None:
    agreed = {outcome.name for outcome in outcomes if outcome.body}
    assert DIFFERENCES.keys() & agreed == set()


@pytest.mark.parametrize("name", DISCOVERY)
def test_what_is_served_is_discovered_as_recorded(outcomes: list[Outcome], name: str) -> None:
    (outcome,) = [outcome for outcome in outcomes if outcome.name == name]
    assert difference(served_part(outcome.wanted, outcome.got), outcome.got) == ""


def served_part(wanted: Any, got: Any) -> Any:
    """The recorded discovery document without the entries of its lists that ours does not have."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return {
            key: served_part(value, got[key]) if key in got else value
            for key, value in wanted.items()
            if key in got or not isinstance(value, list)
        }
    if isinstance(wanted, list) and isinstance(got, list) and got and isinstance(got[0], dict):
        ours = {entry_name(entry): entry for entry in got}
        return [served_part(entry, ours[entry_name(entry)]) for entry in wanted if entry_name(entry) in ours]
    return wanted


def entry_name(entry: dict[str, Any]) -> str:
    name = entry.get("name") or entry.get("resource") or entry.get("subresource") or entry.get("version") or ""
    return str(name or entry.get("metadata", {}).get("name", ""))
