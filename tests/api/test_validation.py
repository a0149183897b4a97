"""Rules of single values, and the wording of faults."""

from __future__ import annotations

import pytest

from engine.api import validation
from engine.api.validation import Messages


def told(messages: Messages) -> str:
    return " | ".join(messages)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("plain", '"plain"'),
        ('"quoted"\\', '"\\"quoted\\"\\\\"'),
        ("a\n\t\x01", '"a\\n\\t\\x01"'),
        ("é", '"é"'),
        ("\u200b", '"\\u200b"'),
        (5, "5"),
        (True, "true"),
        (None, "null"),
        ({"a": "<&>"}, '{"a":"\\u003c\\u0026\\u003e"}'),
        (["a", 1], '["a",1]'),
    ],
)
def test_values_are_printed_as_go_prints_them(value: object, printed: str) -> None:
    assert validation.printed(value) == printed


def test_each_fault_has_its_reason_and_wording() -> None:
    causes = [
        validation.required("f"),
        validation.required("f", "why"),
        validation.invalid("f", "v", "why"),
        validation.not_supported("f", "v", ("a", "b")),
        validation.duplicate("f", "v"),
        validation.forbidden("f", "why"),
        validation.not_found("f", "v"),
        validation.too_long("f", 1),
        validation.too_many("f", 3, 2),
    ]
    assert [(cause.reason, cause.message) for cause in causes] == [
        ("FieldValueRequired", "Required value"),
        ("FieldValueRequired", "Required value: why"),
        ("FieldValueInvalid", 'Invalid value: "v": why'),
        ("FieldValueNotSupported", 'Unsupported value: "v": supported values: "a", "b"'),
        ("FieldValueDuplicate", 'Duplicate value: "v"'),
        ("FieldValueForbidden", "Forbidden: why"),
        ("FieldValueNotFound", 'Not found: "v"'),
        ("FieldValueTooLong", "Too long: may not be more than 1 byte"),
        ("FieldValueTooMany", "Too many: 3: must have at most 2 items"),
    ]


@pytest.mark.parametrize("value", ["a", "a-b", "0", "a" * 63])
def test_dns_labels(value: str) -> None:
    assert validation.dns1123_label(value) == ()


@pytest.mark.parametrize("value", ["", "-a", "a-", "A", "a_b", "a.b", "é", "a\n", "a" * 64])
def test_no_dns_labels(value: str) -> None:
    assert validation.dns1123_label(value)


@pytest.mark.parametrize("value", ["a", "a.b-c.0", ".".join(["a" * 63] * 3)])
def test_dns_subdomains(value: str) -> None:
    assert validation.dns1123_subdomain(value) == ()


@pytest.mark.parametrize("value", ["", ".", "a..b", "a.", "A.b", "a/b", "a" * 254])
def test_no_dns_subdomains(value: str) -> None:
    assert validation.dns1123_subdomain(value)


@pytest.mark.parametrize("value", ["a", "A_b.c-9", "example.com/a", "a" * 63, f"{'a' * 253}/{'b' * 63}"])
def test_qualified_names(value: str) -> None:
    assert validation.qualified_name(value) == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "name part must be non-empty"),
        ("/a", "prefix part must be non-empty"),
        ("a/", "name part must be non-empty"),
        ("A_/a", "prefix part a lowercase RFC 1123 subdomain must"),
        ("a/b/c", "a valid label key must consist of alphanumeric characters"),
        ("a" * 64, "name part must be no more than 63 bytes"),
        ("-a", "name part must consist of alphanumeric characters"),
    ],
)
def test_no_qualified_names(value: str, message: str) -> None:
    assert message in told(validation.qualified_name(value))


@pytest.mark.parametrize("value", ["", "a", "A.b_c-9", "a" * 63])
def test_label_values(value: str) -> None:
    assert validation.label_value(value) == ()


@pytest.mark.parametrize("value", ["-", "a b", "a/b", "a" * 64])
def test_no_label_values(value: str) -> None:
    assert validation.label_value(value)


@pytest.mark.parametrize("value", ["A", "a.b", "with space", "!"])
def test_names_of_variables(value: str) -> None:
    assert validation.env_name(value) == ()


@pytest.mark.parametrize("value", ["", "a=b", "é", "a\tb"])
def test_no_names_of_variables(value: str) -> None:
    assert validation.env_name(value)


@pytest.mark.parametrize("value", ["http", "a-1", "1a", "a" * 15])
def test_names_of_ports(value: str) -> None:
    assert validation.port_name(value) == ()


@pytest.mark.parametrize("value", ["", "1", "-a", "a-", "a--b", "A", "a" * 16])
def test_no_names_of_ports(value: str) -> None:
    assert validation.port_name(value)


@pytest.mark.parametrize(("value", "valid"), [("0%", True), ("150%", True), ("5", False), ("%", False), ("-1%", False)])
def test_percentages(value: str, valid: bool) -> None:
    assert (validation.percent(value) == ()) is valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [("10.0.0.1", True), ("::1", True), ("fe80::1%eth0", False), ("10.0.0", False), ("", False)],
)
def test_addresses(value: str, valid: bool) -> None:
    assert (validation.ip_address(value) == ()) is valid


def test_a_judgement_is_the_same_when_it_is_remembered() -> None:
    for value in ("web", "Web", "a" * 64):
        assert validation.dns1123_label(value) == validation.dns1123_label(value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1}, {"a": 1, "b": None}, True),
        ({"a": 1, "b": []}, {"a": 1, "c": ""}, True),
        ({"a": {"b": 0}}, {}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": [{"b": 0}]}, {"a": [{}]}, True),
        ({"a": "x"}, {}, False),
    ],
)
def test_what_is_absent_equals_what_is_empty(one: object, other: object, same: bool) -> None:
    assert validation.same(one, other) is same
    assert validation.same(other, one) is same
