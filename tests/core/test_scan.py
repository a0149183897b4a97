"""What the strict pass over JSON bytes promises, against orjson and the standard library."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine._json import duplicate_fields, loads
from engine._scalars import scalar_end
from engine._scan import count_tokens, find, tokens
from tests.core.tape import rebuilt

CHARACTERS = st.characters(exclude_categories=["Cs"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS)
    | st.text(st.sampled_from('"\\\n\x00aé€😀'), max_size=60)
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(CHARACTERS, max_size=20), inner, max_size=40),
    max_leaves=40,
)
WRITERS: list[Callable[[Any], bytes]] = [
    lambda document: json.dumps(document).encode(),
    lambda document: json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(),
    lambda document: json.dumps(document, indent="\t").replace("\n", "\r\n").encode() + b" \n",
]


def verdict(data: bytes) -> str:
    """Why it is refused; empty when it is not."""
    try:
        count_tokens(data)
    except ValueError as error:
        return str(error)
    return ""


def orjson_accepts(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


# --- What is accepted -------------------------------------------------------------------------------------------------


@given(DOCUMENTS, st.sampled_from(WRITERS))
def test_the_tape_of_any_document_tells_the_document(document: Any, write: Callable[[Any], bytes]) -> None:
    assert rebuilt(write(document)) == document


@pytest.mark.parametrize("data", [b"1", b'""', b"null", b"[]", b"{}", b" \t\r\n[ ] \t\r\n", b"-0", b"1E+2", b'"\x7f"'])
def test_any_value_may_stand_at_the_top_with_space_around_it(data: bytes) -> None:
    assert verdict(data) == ""


def test_integers_have_up_to_4300_digits() -> None:
    assert verdict(b"-" + b"9" * 4300) == ""
    assert verdict(b"[1, " + b"9" * 4301 + b"]").endswith("or 4300 digits at offset 4")


def test_a_fraction_has_any_number_of_digits() -> None:
    assert verdict(b"0." + b"3" * 10_000) == ""


@pytest.mark.parametrize("container", [(b"[", b"]"), (b'{"a":', b"}")])
def test_containers_nest_up_to_1024_levels(container: tuple[bytes, bytes]) -> None:
    opened, closed = container
    assert verdict(opened * 1023 + b"[]" + closed * 1023) == ""
    assert verdict(opened * 1024 + b"[]" + closed * 1024).startswith("nested deeper than 1024 levels at offset")
    assert "nested deeper" in verdict(opened * 1_000_000)


# --- What is refused, and where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"", 0),
        (b"  ", 2),
        (b"nul", 0),
        (b"[1,]", 3),
        (b"[1 2]", 3),
        (b"[,1]", 1),
        (b'{"a":1,}', 7),
        (b'{"a" 1}', 5),
        (b'{"a":}', 5),
        (b"{1:2}", 1),
        (b"{]", 1),
        (b"[1}", 2),
        (b"[1", 2),
        (b'{"a"', 4),
        (b"[]]", 2),
        (b"{} {}", 3),
        (b"01", 1),
        (b"1\x00", 1),
        (b"\xef\xbb\xbf{}", 0),
        (b"[1,\x0b2]", 3),
        (b"[NaN]", 1),
        (b"+1", 0),
        (b"'a'", 0),
        (b'"abc', 4),
        (b'["' + b"a" * 99, 101),
    ],
)
def test_no_json_is_refused_with_the_offset(data: bytes, offset: int) -> None:
    assert not orjson_accepts(data)
    reason = "the text ends too early" if offset == len(data) else "no JSON"
    assert verdict(data) == f"{reason} at offset {offset}"


@pytest.mark.parametrize("number", ["-", "1.", ".5", "1.e3", "1e", "1e+", "-a", "1.5e-", "2.e"])
def test_numbers_have_digits_everywhere(number: str) -> None:
    data = f"[{number}]".encode()
    assert not orjson_accepts(data)
    assert verdict(data).endswith("at offset 1")


SIGNS = ["", "-"]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(
    "number",
    [
        "1e400",
        "1e309",
        "1.7976931348623159e308",
        "0.0001e314",
        "9" * 400 + ".5",
        "9" * 400 + "e0",
        "1e99999999999999999999",
    ],
)
def test_numbers_beyond_a_double_are_refused(sign: str, number: str) -> None:
    assert math.isinf(float(number))
    assert verdict(f"[{sign}{number}]".encode()).startswith("no number of JSON, or one beyond a double")


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize(
    "number",
    [
        "1.7976931348623158e308",
        "17976931348623158" + "0" * 292 + ".0",
        "0e99999999999999999999",
        "1e-99999999999999999999",
        "9" * 400 + "e-100",
        "0." + "0" * 400 + "1e700",
        "0.0e400",
    ],
)
def test_numbers_within_a_double_are_accepted(sign: str, number: str) -> None:
    assert math.isfinite(float(number))
    assert verdict(f"{sign}{number}".encode()) == ""


@given(st.integers(-3, 3), st.integers(0, 330), st.integers(-330, 330), st.booleans())
def test_the_border_of_a_double_is_exact(distance: int, point: int, shift: int, tail: bool) -> None:
    # Halfway between the largest double and the next that there would be: from here on readers see infinity.
    digits = str(2**1024 - 2**970 + distance).rjust(point + 1, "0")
    moved = f"{digits[: len(digits) - point]}.{digits[len(digits) - point :]}{'01' if tail else '0'}e{point}"
    assert (verdict(moved.encode()) == "") == math.isfinite(float(moved))
    elsewhere = f"{moved.partition('e')[0]}e{point + shift}"
    assert (verdict(elsewhere.encode()) == "") == math.isfinite(float(elsewhere))


def everywhere(text: bytes) -> list[bytes]:
    """The text inside strings so that it stands at every place of a block, with and without much behind it."""
    return [b'["' + b"a" * before + text + b"a" * after + b'"]' for before in range(40) for after in (0, 1, 15, 40)]


BAD_TEXTS = {
    "a control character": b"\x1f",
    "a NUL": b"\x00",
    "a line break": b"\n",
    "an escape that is none": b"\\x",
    "a short escape": b"\\u12 ",
    "an escape with no digits": b"\\u12g4",
    "a low surrogate": b"\\udc00",
    "a high surrogate": b"\\ud800",
    "two high surrogates": b"\\ud800\\ud800",
    "a high surrogate before text": b"\\ud800\\n",
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_a_string_is_refused_at(text: bytes) -> None:
    for data in everywhere(text):
        assert not orjson_accepts(data)
        assert verdict(data) == f"no string of JSON at offset {data.index(text)}"


BAD_UTF8 = {
    "a lone continuation": b"\x80",
    "a lead byte alone": b"\xc3",
    "two bytes of three": b"\xe2\x82",
    "three bytes of four": b"\xf0\x9f\x98",
    "overlong, two bytes": b"\xc1\xbf",
    "overlong, three bytes": b"\xe0\x9f\xbf",
    "overlong, four bytes": b"\xf0\x8f\xbf\xbf",
    "a surrogate": b"\xed\xa0\x80",
    "beyond the last character": b"\xf4\x90\x80\x80",
    "no lead byte": b"\xf5\x80\x80\x80",
    "a byte that never occurs": b"\xff",
}


@pytest.mark.parametrize("text", BAD_UTF8.values(), ids=BAD_UTF8.keys())
def test_text_is_utf8(text: bytes) -> None:
    for data in everywhere(text):
        assert not orjson_accepts(data)
        assert verdict(data) == f"no UTF-8 at offset {data.index(text)}"


def test_every_character_passes_in_every_form() -> None:
    for first in range(0, 0x110000, 0x400):
        some = "".join(chr(code) for code in range(first, first + 0x400, 3) if not 0xD800 <= code <= 0xDFFF)
        for ascii_only in (True, False):
            data = json.dumps(some, ensure_ascii=ascii_only).encode()
            assert verdict(data) == ""


@given(st.binary(max_size=6), st.integers(0, 20), st.integers(0, 20))
def test_any_bytes_in_a_string_get_the_verdict_of_orjson(text: bytes, before: int, after: int) -> None:
    data = b'"' + b"a" * before + text + b"a" * after + b'"'
    assert (verdict(data) == "") == orjson_accepts(data)


# --- Repeated keys ----------------------------------------------------------------------------------------------------


def test_a_key_twice_in_one_object_is_refused_with_its_path() -> None:
    data = b'{"spec":{"containers":[{"name":"a"},{"name":"a","name":"b"}]}}'
    assert verdict(data) == "duplicate key spec.containers[1].name at offset 48"
    assert data[48:].startswith(b'"name":"b"')
    assert verdict(b'{"a":1,"a":2}') == "duplicate key a at offset 7"


def test_the_same_key_in_other_objects_is_none_twice() -> None:
    assert verdict(b'{"a":{"a":[{"a":1},{"a":1}]},"b":{"a":1}}') == ""


@pytest.mark.parametrize("count", [1, 2, 7, 31, 32, 33, 34, 100, 5000])
@pytest.mark.parametrize("name", ["k%d", "%d", "%060d", "%d é", 'k:{"name":"%d"}'])
def test_a_key_twice_is_found_in_objects_of_any_width(count: int, name: str) -> None:
    members = [f'{json.dumps(name % i)}:{{"a":{i}}}' for i in range(count)]
    assert verdict(("{" + ",".join(members) + "}").encode()) == ""
    for twice in {0, count // 2, count - 1}:
        text = json.dumps(name % twice)
        assert verdict(("{" + ",".join([*members, f"{text}:1"]) + "}").encode()).startswith("duplicate key")
        assert verdict((f"{{{text}:1," + ",".join(members) + "}").encode()).startswith("duplicate key")


WAYS = [
    (b"a", rb"\u0061"),
    (rb"\/", b"/"),
    (rb"\n", rb"\u000a"),
    (rb"\u000A", rb"\u000a"),
    ("é".encode(), rb"\u00e9"),
    ("€".encode(), rb"\u20AC"),
    ("😀".encode(), rb"\ud83d\ude00"),
    (rb"\"", rb"\u0022"),
    (rb"\\", rb"\u005c"),
    (rb"\b\f\t\r", rb"\u0008\u000c\u0009\u000d"),
    (b"", b""),
]


@pytest.mark.parametrize("ways", WAYS, ids=str)
@pytest.mark.parametrize("others", [0, 40])
def test_keys_are_what_they_spell(ways: tuple[bytes, bytes], others: int) -> None:
    between = b"".join(b'"k%d":[],' % i for i in range(others))
    for first, second in (ways, ways[::-1]):
        assert verdict(b'{"' + first + b'":1,' + between + b'"' + second + b'":2}').startswith("duplicate key")
        assert verdict(b'{"' + first + b'":1,' + between + b'"x' + second + b'":2}') == ""


def test_very_wide_objects_cost_what_they_are_long() -> None:
    def wide(count: int) -> bytes:
        return b"{" + b",".join(b'"%08d":{"\\u0061":0}' % i for i in range(count)) + b"}"

    assert count_tokens(wide(200_000)) == 1 + 200_000 * 4


@given(DOCUMENTS)
def test_no_duplicate_field_is_told_when_none_is_refused(document: Any) -> None:
    assert duplicate_fields(json.dumps(document).encode()) == []


def test_at_most_100_duplicate_fields_are_told() -> None:
    data = ("[" + ",".join(f'{{"a{i}":0,"a{i}":0}}' for i in range(500)) + "]").encode()
    assert duplicate_fields(data) == [f"[{i}].a{i}" for i in range(100)]


def test_many_repeats_in_a_deep_document_cost_no_more_than_their_paths() -> None:
    data = b'{"a":' * 1000 + b"[" + b",".join([b'{"b":0,"b":0}'] * 1000) + b"]" + b"}" * 1000
    assert len(duplicate_fields(data)) == 100


# --- Finding values ---------------------------------------------------------------------------------------------------

DOCUMENT = rb'{"a":{"b":[1,{"c":"d"},[]],"\u0065":2},"f/g":[{"h":null}], "":{"":3}}'


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((), DOCUMENT),
        ((b"a", b"b", 0), b"1"),
        ((b"a", b"b", 1), b'{"c":"d"}'),
        ((b"a", b"b", 1, b"c"), b"d"),
        ((b"a", b"b", 2), b"[]"),
        ((b"a", b"e"), b"2"),
        ((b"f/g", 0, b"h"), b"null"),
        ((b"", b""), b"3"),
    ],
)
def test_steps_lead_to_a_value(steps: tuple[bytes | int, ...], text: bytes) -> None:
    _, start, end, _, _ = tokens(DOCUMENT)[find(DOCUMENT, steps)]
    assert DOCUMENT[start:end] == text


@pytest.mark.parametrize(
    "steps",
    [
        (0,),
        (b"a", 0),
        (b"b",),
        (b"a", b"b", 3),
        (b"a", b"b", 2, 0),
        (b"a", b"b", b"c"),
        (b"a", b"b", 0, b"c"),
        (b"a", b"b", 2**80),
    ],
)
def test_steps_that_lead_nowhere(steps: tuple[bytes | int, ...]) -> None:
    assert find(DOCUMENT, steps) == -1


# --- Single values ----------------------------------------------------------------------------------------------------


@given(LEAVES, st.sampled_from([b"", b" ", b",", b"]}", b'"', b"x" * 20]))
def test_a_single_value_ends_where_it_ends(value: Any, behind: bytes) -> None:
    data = json.dumps(value).encode()
    assert scalar_end(data + behind) == len(data)


@pytest.mark.parametrize(
    "data", [b"", b'"', b'"a', b'"\\"', b'"\n"', b"-", b"1.", b"1e999", b"tru", b"fals", b"x", b"{}"]
)
def test_what_is_no_single_value(data: bytes) -> None:
    assert scalar_end(data) is None


# --- Exact numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**64, -(2**64) - 1, 10**308, 10**309, -(10**400), 10**4299])
def test_loads_keeps_integers_that_orjson_does_not(number: int) -> None:
    text = b'{"a\\n":[%d,1.5,"\\u00e9",{"b":true}],"a\\n":[%d,0.1e3,null]}' % (number, number)
    assert loads(text) == {"a\n": [number, 100.0, None]}


def test_loads_of_long_numbers_goes_as_deep_as_any() -> None:
    loaded = loads(b"[" * 1024 + b"9" * 30 + b"]" * 1024)
    for _ in range(1024):
        (loaded,) = loaded
    assert loaded == int("9" * 30)


def test_loads_refuses_what_it_cannot_keep() -> None:
    for text in (b"9" * 4301, b"[1e999, " + b"9" * 30 + b"]", b"9" * 400 + b"x"):
        with pytest.raises(ValueError, match=r"at offset|infinity|unexpected"):
            loads(text)
