"""The scanner's tape, read as the compiled modules read it."""

from __future__ import annotations

import json
from typing import Any

from engine._scan import count_tokens, tokens


def rebuilt(data: bytes) -> Any:
    """The document as the spans of the tape tell it; checks that every token's number leads on."""
    tape = tokens(data)

    def spelled(start: int, end: int, escaped: bool) -> str:
        text = data[start:end]
        assert data[start - 1 : start] == data[end : end + 1] == b'"'
        assert escaped == (b"\\" in text)
        return str(json.loads(b'"' + text + b'"', strict=False))

    def value(number: int) -> Any:
        kind, start, end, behind, escaped = tape[number]
        if kind == "STRING":
            assert behind == number + 1
            return spelled(start, end, escaped)
        if kind in ("NUMBER", "LITERAL"):
            assert behind == number + 1
            return json.loads(data[start:end])
        assert data[start : start + 1] + data[end - 1 : end] == (b"{}" if kind == "OBJECT" else b"[]")
        number += 1
        if kind == "ARRAY":
            elements = []
            while number < behind:
                elements.append(value(number))
                number = tape[number][3]
            assert number == behind
            return elements
        members = {}
        while number < behind:
            kind, start, end, its_value, escaped = tape[number]
            assert kind == "KEY"
            assert its_value == number + 1
            members[spelled(start, end, escaped)] = value(its_value)
            number = tape[its_value][3]
        assert number == behind
        return members

    assert tape[0][3] == len(tape) == count_tokens(data)
    return value(0)
