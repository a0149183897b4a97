"""Rules for single values and the wording of faults: what Kubernetes says, to the letter.

A rule is a function from a value to the messages of what is wrong with it, `()` when nothing is. A constructor
(`required`, `invalid`, …) makes the `Cause` of one fault. Rules that run on every write remember strings that they have
judged, at most `_REMEMBERED` of them and none longer than the rule allows, so that the same names and labels are judged
once.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import orjson

from engine.api.errors import Cause

Messages = tuple[str, ...]

_REMEMBERED = 8192  # strings per rule

INT32_MAX = 2**31 - 1
IS_IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"


# Causes


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")


def invalid(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {printed(value)}: {detail}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """`supported` is listed in the order given."""
    listed = ", ".join(printed(each) for each in supported)
    return Cause("FieldValueNotSupported", field, f"Unsupported value: {printed(value)}: supported values: {listed}")


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {printed(value)}")


def forbidden(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {detail}" if detail else "Forbidden")


def not_found(field: str, value: Any) -> Cause:
    return Cause("FieldValueNotFound", field, f"Not found: {printed(value)}")


def too_long(field: str, max_bytes: int) -> Cause:
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {max_bytes} byte{'s' * (max_bytes != 1)}")


def too_many(field: str, actual: int, most: int) -> Cause:
    message = f"Too many: {actual}: must have at most {most} item{'s' * (most != 1)}"
    return Cause("FieldValueTooMany", field, message)


def each_invalid(field: str, value: Any, messages: Iterable[str]) -> list[Cause]:
    """One cause per message."""
    return [invalid(field, value, message) for message in messages]


def printed(value: Any) -> str:
    """A value as it stands in a message: strings quoted as Go quotes them, the rest as JSON with HTML escaped."""
    if isinstance(value, str):
        return _quoted(value)
    text = orjson.dumps(value).decode()
    for plain, escaped in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        text = text.replace(plain, escaped)
    return text


_GO_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_GO_ESCAPES |= {"\\": "\\\\", '"': '\\"'}


def _quoted(value: str) -> str:
    if value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    return '"' + "".join(_GO_ESCAPES.get(char) or _go_char(char) for char in value) + '"'


def _go_char(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Wording shared by the rules


def regex_message(message: str, pattern: str, *examples: str) -> str:
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def max_length_message(length: int) -> str:
    return f"must be no more than {length} characters"


def range_message(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


# Names

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_is_label = re.compile(_LABEL).fullmatch
_is_subdomain = re.compile(_SUBDOMAIN).fullmatch
_is_key = re.compile(_KEY).fullmatch

_LABEL_MESSAGE = regex_message(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_SUBDOMAIN_MESSAGE = regex_message(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_KEY_MESSAGE = regex_message(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    _KEY,
    "MyName",
    "my.name",
    "123-abc",
)
_LABEL_VALUE_MESSAGE = regex_message(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character",
    f"({_KEY})?",
    "MyValue",
    "my_value",
    "12345",
)


def _remembering(longest: int) -> Callable[[Callable[[str], Messages]], Callable[[str], Messages]]:
    def wrap(rule: Callable[[str], Messages]) -> Callable[[str], Messages]:
        remembered = lru_cache(_REMEMBERED)(rule)

        def judge(value: str) -> Messages:
            return remembered(value) if len(value) <= longest else rule(value)

        judge.__name__, judge.__doc__ = rule.__name__, rule.__doc__
        return judge

    return wrap


@_remembering(63)
def dns1123_label(value: str) -> Messages:
    messages: Messages = () if len(value) <= 63 else (max_length_message(63),)
    if _is_label(value):
        return messages
    return (*messages, "must not contain dots" if _is_subdomain(value) else _LABEL_MESSAGE)


@_remembering(253)
def dns1123_subdomain(value: str) -> Messages:
    messages: Messages = () if len(value) <= 253 else (max_length_message(253),)
    return messages if _is_subdomain(value) else (*messages, _SUBDOMAIN_MESSAGE)


@_remembering(317)
def qualified_name(value: str) -> Messages:
    """A label key: a name, or `prefix/name` with a DNS subdomain as prefix."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return (
            f"a valid label key {_KEY_MESSAGE} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')",
        )
    messages: Messages = ()
    if slash and not prefix:
        messages += ("prefix part must be non-empty",)
    elif slash:
        messages += tuple(f"prefix part {message}" for message in dns1123_subdomain(prefix))
    if not name:
        messages += ("name part must be non-empty",)
    elif len(name) > 63:
        messages += ("name part must be no more than 63 bytes",)
    return messages if _is_key(name) else (*messages, f"name part {_KEY_MESSAGE}")


@_remembering(63)
def label_value(value: str) -> Messages:
    messages: Messages = () if len(value) <= 63 else ("must be no more than 63 bytes",)
    return messages if not value or _is_key(value) else (*messages, _LABEL_VALUE_MESSAGE)


# Keys, ports, percentages, environment

_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_is_config_key = re.compile(_CONFIG_KEY).fullmatch
_CONFIG_KEY_MESSAGE = regex_message(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
_PERCENT = "[0-9]+%"
_is_percent = re.compile(_PERCENT).fullmatch
_PERCENT_MESSAGE = regex_message(
    "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%"
)
_is_env_name = re.compile("[ -<>-~]+").fullmatch
_is_port_name = re.compile("(?=[-0-9]*[a-z])(?!-)(?!.*--)[-a-z0-9]{0,14}[a-z0-9]").fullmatch
_HEADER = "[-A-Za-z0-9]+"
_is_header = re.compile(_HEADER).fullmatch


@_remembering(253)
def config_key(value: str) -> Messages:
    """A key in the data of a ConfigMap or Secret."""
    messages: list[str] = []
    if len(value) > 253:
        messages.append(max_length_message(253))
    if not _is_config_key(value):
        messages.append(_CONFIG_KEY_MESSAGE)
    if value == ".":
        messages.append("must not be '.'")
    elif value == "..":
        messages.append("must not be '..'")
    elif value.startswith(".."):
        messages.append("must not start with '..'")
    return tuple(messages)


@_remembering(253)
def env_name(value: str) -> Messages:
    if _is_env_name(value):
        return ()
    if not value:
        return ("environment variable name must be non-empty",)
    return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)


def percent(value: str) -> Messages:
    return () if _is_percent(value) else (_PERCENT_MESSAGE,)


def header_name(value: str) -> Messages:
    if _is_header(value):
        return ()
    message = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return (regex_message(message, _HEADER, "X-Header-Name"),)


def ip_address(value: str) -> Messages:
    """An address without a zone."""
    try:
        ipaddress.ip_address(value if "%" not in value else "")
    except ValueError:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return ()


def port_number(value: int) -> Messages:
    return () if 1 <= value <= 65535 else (range_message(1, 65535),)


def port_name(value: str) -> Messages:
    if _is_port_name(value):
        return ()
    messages: list[str] = []
    if len(value) > 15:
        messages.append(max_length_message(15))
    if not re.fullmatch("[-a-z0-9]+", value):
        messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        messages.append("must contain at least one letter (a-z)")
    if "--" in value:
        messages.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        messages.append("must not begin or end with a hyphen")
    return tuple(messages)


def port(value: int | str) -> Messages:
    """A port by number or by name."""
    return port_name(value) if isinstance(value, str) else port_number(value)


# Shapes that many kinds share


def labels(found: dict[str, str], field: str) -> list[Cause]:
    """Faults of a map of labels, all told of the map as a whole."""
    causes: list[Cause] = []
    for key, value in found.items():
        if messages := qualified_name(key):
            causes += each_invalid(field, key, messages)
        if messages := label_value(value):
            causes += each_invalid(field, value, messages)
    return causes


def same(one: Any, other: Any) -> bool:
    """Whether two documents mean the same: an absent member equals an empty, zero or false one."""
    if one == other:
        return True
    if isinstance(one, dict) or isinstance(other, dict):
        left, right = one or {}, other or {}
        if not isinstance(left, dict) or not isinstance(right, dict):
            return False
        return all(same(left.get(key), right.get(key)) for key in {**left, **right})
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return not one and not other
