"""A container's environment, command and arguments."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from engine._object import Object
from engine.api.resource import CONFIGMAPS, SECRETS
from engine.kubelet.environment import ConfigError, Facts, Reference, command, expand, references, variables

FACTS = Facts("127.1.2.3", "127.0.0.1", {"cpu": "4", "memory": "8Gi"})
POD: dict[str, Any] = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "u-1",
        "labels": {"app": "web", "a/b": "c"},
        "annotations": {"note": "hi"},
    },
    "spec": {"nodeName": "node-1", "serviceAccountName": "default", "containers": []},
}
STORED = {
    Reference(CONFIGMAPS, "settings"): {"colour": "blue", "bad name": "x", "9": "y"},
    Reference(SECRETS, "keys"): {"token": base64.b64encode(b"s3cret").decode()},
}


def lookup(ref: Reference) -> Object | None:
    data = STORED.get(ref)
    return None if data is None else Object({"metadata": {"name": ref.name}, "data": data})


def resolved(container: Mapping[str, Any]) -> dict[str, str]:
    spec = {**POD["spec"], "containers": [{"name": "main", **container}]}
    return variables({**POD, "spec": spec}, spec["containers"][0], FACTS, lookup)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)$(B)y", "x12y"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$", "$$"),
        ("$(MISSING)", "$(MISSING)"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("$", "$"),
        ("", ""),
    ],
)
def test_references_expand_and_double_dollars_escape(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


def test_a_value_refers_to_the_variables_before_it() -> None:
    env = [
        {"name": "LATER", "value": "$(HOST)"},
        {"name": "HOST", "value": "h"},
        {"name": "URL", "value": "http://$(HOST)/"},
        {"name": "EMPTY"},
    ]
    assert resolved({"env": env}) == {"LATER": "$(HOST)", "HOST": "h", "URL": "http://h/", "EMPTY": ""}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['a/b']", "c"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['note']", "hi"),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "default"),
        ("status.podIP", "127.1.2.3"),
        ("status.podIPs", "127.1.2.3"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_fields_of_the_pod(path: str, expected: str) -> None:
    env = [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}}]
    assert resolved({"env": env}) == {"V": expected}


def test_a_field_that_the_downward_api_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unsupported fieldPath: spec\.hostname"):
        resolved({"env": [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": "spec.hostname"}}}]})


@pytest.mark.parametrize(
    ("resource", "divisor", "expected"),
    [
        ("requests.cpu", "1m", "250"),
        ("requests.cpu", "1", "1"),
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", "0", "67108864"),
        ("limits.cpu", "1", "4"),
        ("requests.memory", "1", "0"),
    ],
)
def test_resources_in_units_of_the_divisor_rounded_up(resource: str, divisor: str, expected: str) -> None:
    ref = {"resource": resource, "divisor": divisor}
    container = {
        "env": [{"name": "V", "valueFrom": {"resourceFieldRef": ref}}],
        "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}},
    }
    assert resolved(container) == {"V": expected}


def test_keys_of_config_maps_and_secrets() -> None:
    env = [
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
    ]
    assert resolved({"env": env}) == {"COLOUR": "blue", "TOKEN": "s3cret"}
    assert set(references({"env": env})) == set(STORED)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"configMapKeyRef": {"name": "settings", "key": "k"}}, "couldn't find key k in ConfigMap shop/settings"),
        ({"secretKeyRef": {"name": "keys", "key": "k"}}, "couldn't find key k in Secret shop/keys"),
    ],
)
def test_what_is_missing_is_named_unless_it_is_optional(source: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError) as fault:
        resolved({"env": [{"name": "V", "valueFrom": source}]})
    assert str(fault.value) == message
    assert fault.value.reason == "CreateContainerConfigError"
    ((kind, ref),) = source.items()
    assert resolved({"env": [{"name": "V", "valueFrom": {kind: {**ref, "optional": True}}}]}) == {}


def test_env_from_takes_all_valid_names_with_a_prefix_and_env_wins() -> None:
    container = {
        "envFrom": [
            {"prefix": "P_", "configMapRef": {"name": "settings"}},
            {"secretRef": {"name": "keys"}},
            {"configMapRef": {"name": "none", "optional": True}},
        ],
        "env": [{"name": "token", "value": "own"}, {"name": "USES", "value": "$(P_colour)"}],
    }
    assert resolved(container) == {"P_colour": "blue", "P_9": "y", "token": "own", "USES": "blue"}


def test_command_and_arguments_expand() -> None:
    container = {"image": "i", "command": ["/bin/$(NAME)", "$$(NAME)"], "args": ["$(NAME)", "$(NONE)"]}
    assert command(container, {"NAME": "n"}, {}) == ["/bin/n", "$(NAME)", "n", "$(NONE)"]


def test_the_containers_command_goes_before_the_images() -> None:
    images = {"i": ["mapped"]}
    assert command({"image": "i", "args": ["a"]}, {}, images) == ["mapped", "a"]
    assert command({"image": "i", "command": ["own"]}, {}, images) == ["own"]
    with pytest.raises(ConfigError) as fault:
        command({"image": "other"}, {}, images)
    assert fault.value.reason == "ImageNotMapped"
