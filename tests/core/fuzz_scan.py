"""Mutants of JSON documents, and what the scanner and orjson say of each. Seeded: the same inputs every time."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator

import orjson

from engine._scan import count_tokens
from tests.core.tape import rebuilt

CORPUS = [
    b'{"metadata":{"name":"web-1","labels":{"app":"web","a/b":"c"},"uid":"0f1e"},"n":[1,-2.5,3e10,true,false,null]}',
    b'{"f:spec":{"k:{\\"name\\":\\"app\\"}":{".":{},"f:image":{}},"k:{\\"name\\":\\"b\\"}":{".":{}}}}',
    '{"é":"größere Änderung 変更","😀":["\\u00e9\\ud83d\\ude00\\n","日本語テキスト, noch ein Text"]}'.encode(),
    b'{"a":{"b":{"c":[[],[[]],{},{"d":{}}]}},"e":"a string that is longer than one block of sixteen bytes"}',
    b'[ 1 , "x" ,\r\n\t{ "y" : [ ] , "z" : { } } , 12345678901234567890123 ] \n',
    b"[1.7976931348623157e308,4.9e-324,-0,0.0,1E+2,17976931348623158e292,-1e308]",
    b'"just a string with \\"quotes\\", \\\\ and \\/ in it"',
    b'{"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9,"k10":0}',
    b"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
    b"null",
    b"-12.5e-3",
    b'{"":""}',
    b"{" + b",".join(b'"key%02d":%d' % (i, i) for i in range(40)) + b"}",
]
PIECES = [
    *(bytes([c]) for c in b'"\\{}[]:,.-+eE0123456789 \t\r\ntfnuabx/'),
    *(bytes([c]) for c in (0x00, 0x01, 0x1F, 0x7F, 0x80, 0xBF, 0xC0, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0xFF)),
    *(b'"a":', b'"k1":', b'"\\u006b1":', b"\\u", b"\\u0000", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\\n", b'\\"'),
    *("é€😀\u0800\uffff\U0010ffff".encode(), b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe0\x80\x80"),
    *(b"e308", b"e309", b"e-400", b"e99999999999", b"1" * 20, b"9" * 310, b"0." + b"0" * 20, b"true", b"null", b"nul"),
    *(
        b"[]",
        b"{}",
        b"[" * 30,
        b"]" * 30,
        b'{"a":',
        b"}" * 3,
        b",,",
        b" " * 17,
        b"a" * 16,
        b"a" * 33,
        b'""',
        b"\xef\xbb\xbf",
    ),
]
SAMPLE = 50  # one of so many
LONG_INTEGER = re.compile(rb"(?<![.\deE+])-?\d{309,}(?![.\deE])")


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Documents of the corpus with one or three changes: pieces put in, bytes cut out, changed or repeated, the rest
    cut off or taken from another document."""
    draw = random.Random(seed)

    def below(bound: int) -> int:
        return int(draw.random() * bound)

    documents, pieces = len(CORPUS), len(PIECES)
    for number in range(count):
        data = CORPUS[below(documents)]
        for _ in range(1 if number & 3 else 3):
            at = below(len(data) + 1)
            how = below(8)
            if how < 4:
                data = data[:at] + PIECES[below(pieces)] + data[at + (how & 1) :]
            elif how == 4:
                data = data[:at] + data[at + 1 + below(4) :]
            elif how == 5:
                data = data[:at] + bytes((below(256),)) + data[at + 1 :]
            elif how == 6:
                data = data[: at + below(len(data) - at + 1)] + data[at:]
            else:
                other = CORPUS[below(documents)]
                data = data[:at] + (other[below(len(other)) :] if number & 1 else b"")
        yield data


def refusal(data: bytes) -> str:
    try:
        count_tokens(data)
    except ValueError as error:
        return str(error)
    return ""


def has_repeats(data: bytes) -> bool:
    found = False

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len(dict(pairs)) < len(pairs)

    json.loads(data, object_pairs_hook=look)
    return found


def difference(data: bytes, ours: str, theirs: str) -> str:
    """Why the scanner may say other than orjson does; empty when it may not. This is the whole list."""
    if ours.startswith("duplicate key") and not theirs and has_repeats(data):
        return "a key twice in one object is refused"
    if not ours and "infinity" in theirs and LONG_INTEGER.search(data):
        return "integers beyond a double are accepted, up to 4,300 digits"
    return ""


def compare(seed: int, count: int) -> Counter[str]:
    """How many were accepted, refused and told otherwise for which reason. AssertionError with the input on any other,
    and when the tape of an accepted one (each SAMPLEth is looked at) tells what the standard library does not read."""
    counts: Counter[str] = Counter()
    loads, refused = orjson.loads, orjson.JSONDecodeError
    for data in mutants(seed, count):
        try:
            loads(data)
            theirs = ""
        except refused as error:
            theirs = error.msg
        ours = refusal(data)
        if bool(ours) == bool(theirs):
            counts["refused by both" if ours else "accepted by both"] += 1
            if not ours and counts["accepted by both"] % SAMPLE == 0:
                assert rebuilt(data) == json.loads(data), data
        else:
            why = difference(data, ours, theirs)
            assert why, f"scan: {ours or 'accepted'}; orjson: {theirs or 'accepted'}; {data!r}"
            counts[why] += 1
    return counts
