"""Objects that no cache likes: nothing in common, huge, full of escapes, deep."""

from __future__ import annotations

import string
from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

from engine.bench.objects.values import hex_digits, uid

ALPHABET = string.ascii_letters + string.digits + "-_./"
# One of each: quotes, controls, two, three and four bytes of UTF-8, a noncharacter, right to left, combining.
AWKWARD = '"\\/\b\f\n\r\t\x00\x1f\x7fäßéñøłж中文漢字ひ한글🚀👩‍👧\u2028\u2029\ufffe\ufeffאבג\u0301%{}[],:'


def unique(count: int, *, size: int = 7_000, seed: int = 0) -> Iterator[bytes]:
    """Objects of about `size` bytes of which each has a shape of its own: names, nesting, values."""
    random = Random(f"unique {seed}")
    for number in range(count):
        document = _metadata(f"unique-{number}", random)
        room = size - 250
        while room > 0:
            name = _text(random, 3, 24)
            document[name] = _value(random, min(room, 400), 0)
            room -= len(orjson.dumps(document[name])) + len(name) + 4
        yield orjson.dumps(document)


def large(*, size: int = 1 << 20, seed: int = 0) -> bytes:
    """One object of `size` bytes or a little more: a ConfigMap with many keys."""
    random = Random(f"large {seed}")
    data = {f"key-{number:05}": _text(random, 900, 1_100) for number in range(size // 1_000 + 50)}
    return orjson.dumps(_metadata("large", random) | {"data": data})


def unicode_heavy(count: int, *, size: int = 7_000, seed: int = 0) -> Iterator[bytes]:
    """Annotations full of escapes and of all lengths of UTF-8; every second object spells them as \\u escapes, capital
    and small, surrogate pairs included."""
    random = Random(f"unicode {seed}")
    for number in range(count):
        document = _metadata(f"unicode-{number}", random)
        notes: dict[str, str] = {}
        while sum(map(len, notes.values())) * 2 < size:
            notes[f"note-{len(notes)}"] = "".join(random.choices(AWKWARD, k=random.randrange(10, 200)))
        document["metadata"]["annotations"] = notes
        plain = orjson.dumps(document)
        yield plain if number % 2 else _escaped(plain.decode(), random)


def deep(*, depth: int = 500, seed: int = 0) -> bytes:
    """One object that is nested `depth` deep: objects and arrays in turn."""
    random = Random(f"deep {seed}")
    text = b'{"v":%d}' % random.randrange(1_000)
    for level in range(depth - 2):
        text = b'{"n%d":%b}' % (level, text) if level % 2 else b"[%b]" % text
    return orjson.dumps(_metadata("deep", random))[:-1] + b',"spec":%b}' % text


def _metadata(name: str, random: Random) -> dict[str, Any]:
    return {
        "apiVersion": "hostile.example.com/v1",
        "kind": "Hostile",
        "metadata": {
            "name": name,
            "namespace": f"hostile-{random.randrange(20)}",
            "uid": uid(hex_digits(random, 32)).decode(),
            "resourceVersion": str(random.randrange(1, 1 << 40)),
        },
    }


def _value(random: Random, room: int, depth: int) -> Any:
    choice = random.randrange(9 if depth < 6 and room > 60 else 6)
    if choice < 3:
        return _text(random, 1, max(2, min(room, 80)))
    if choice == 3:
        return random.randrange(-(1 << 62), 1 << 62) >> random.randrange(60)
    if choice == 4:
        return random.uniform(-1, 1) * 10.0 ** random.randrange(-30, 30)
    if choice == 5:
        return random.choice((True, False, None))
    share = room // 4
    if choice < 8:
        return {_text(random, 2, 16): _value(random, share, depth + 1) for _ in range(random.randrange(1, 5))}
    return [_value(random, share, depth + 1) for _ in range(random.randrange(1, 5))]


def _text(random: Random, shortest: int, longest: int) -> str:
    return "".join(random.choices(ALPHABET, k=random.randrange(shortest, longest)))


def _escaped(text: str, random: Random) -> bytes:
    """The same document with everything beyond ASCII spelled as escapes."""
    parts = []
    for character in text:
        if character < "\x80":
            parts.append(character)
            continue
        units = character.encode("utf-16-be").hex()
        units = units.upper() if random.random() < 0.5 else units
        parts.extend(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return "".join(parts).encode()
