"""ConfigMap and Secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from samples import created, faults, update_faults

Document = dict[str, Any]
FROZEN = "Forbidden: field is immutable when `immutable` is set"
MEGABYTE = 1024 * 1024
BAD_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("name", ["ConfigMap", "Secret"])
@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("a/b", f'Invalid value: "a/b": {BAD_KEY}'),
        ("..", "Invalid value: \"..\": must not be '..'"),
        ("..a", "Invalid value: \"..a\": must not start with '..'"),
        ("a" * 254, f'Invalid value: "{"a" * 254}": must be no more than 253 characters'),
    ],
)
def test_a_key_can_be_a_file(name: str, key: str, message: str) -> None:
    assert faults(name, {"data": {key: ""}}) == [(f"data[{key}]", message)]


def test_a_key_is_text_or_bytes() -> None:
    assert faults("ConfigMap", {"data": {"a": "1"}, "binaryData": {"a": "MQ=="}}) == [
        ("data[a]", 'Invalid value: "a": duplicate of key present in binaryData')
    ]


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        ({"data": {"a": "x" * MEGABYTE}}, True),
        ({"data": {"a": "x" * MEGABYTE, "b": "y"}}, False),
        ({"data": {"a": "é" * (MEGABYTE // 2)}}, True),
        ({"data": {"a": "é" * (MEGABYTE // 2) + "x"}}, False),
        ({"binaryData": {"a": encoded("x" * MEGABYTE)}}, True),
        ({"binaryData": {"a": encoded("x" * (MEGABYTE + 1))}}, False),
    ],
)
def test_a_config_map_holds_a_megabyte(data: Document, fits: bool) -> None:
    told = faults("ConfigMap", data)
    assert told == ([] if fits else [("[]", "Too long: may not be more than 1048576 bytes")])


def test_a_secret_holds_a_megabyte() -> None:
    told = faults("Secret", {"data": {"a": encoded("x" * (MEGABYTE + 1))}})
    assert told == [("data", "Too long: may not be more than 1048576 bytes")]


@pytest.mark.parametrize("name", ["ConfigMap", "Secret"])
def test_what_is_immutable_stays(name: str) -> None:
    old = created(name, {"data": {"a": encoded("1")}, "immutable": True})
    assert update_faults(name, old, {"data": {"a": encoded("2")}}) == [("data", FROZEN)]
    assert update_faults(name, old, {"immutable": False}) == [("immutable", FROZEN)]
    assert update_faults(name, old, {"metadata": {"labels": {"a": "b"}}}) == []


def test_what_is_mutable_changes() -> None:
    assert update_faults("ConfigMap", created("ConfigMap", {"data": {"a": "1"}}), {"data": {"a": "2"}}) == []


def test_a_secret_is_opaque() -> None:
    assert created("Secret", {})["type"] == "Opaque"


def test_text_of_a_secret_goes_over_its_data() -> None:
    made = created("Secret", {"data": {"a": encoded("old"), "b": encoded("b")}, "stringData": {"a": "new"}})
    assert made["data"] == {"a": encoded("new"), "b": encoded("b")}
    assert "stringData" not in made


def test_the_type_of_a_secret_stays() -> None:
    assert update_faults("Secret", created("Secret", {}), {"type": "other"}) == [
        ("type", 'Invalid value: "other": field is immutable')
    ]


ACCOUNT = "kubernetes.io/service-account.name"


@pytest.mark.parametrize(
    ("type_", "data", "causes"),
    [
        (
            "kubernetes.io/service-account-token",
            {},
            [(f"metadata.annotations[{ACCOUNT}]", "Required value")],
        ),
        ("kubernetes.io/tls", {"tls.crt": ""}, [("data[tls.key]", "Required value")]),
        ("kubernetes.io/ssh-auth", {}, [("data[ssh-privatekey]", "Required value")]),
        (
            "kubernetes.io/basic-auth",
            {},
            [("data[username]", "Required value"), ("data[password]", "Required value")],
        ),
        ("kubernetes.io/basic-auth", {"username": encoded("u")}, []),
        ("kubernetes.io/dockerconfigjson", {}, [("data[.dockerconfigjson]", "Required value")]),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": encoded("{}")}, []),
        ("example.com/mine", {}, []),
    ],
)
def test_a_typed_secret_has_its_keys(type_: str, data: Document, causes: list[tuple[str, str]]) -> None:
    assert faults("Secret", {"type": type_, "data": data}) == causes


def test_a_docker_configuration_is_json_and_is_not_repeated() -> None:
    data = {".dockerconfigjson": encoded("hunter2")}
    ((field, message),) = faults("Secret", {"type": "kubernetes.io/dockerconfigjson", "data": data})
    assert field == "data[.dockerconfigjson]"
    assert message.startswith('Invalid value: "<secret contents redacted>"')
