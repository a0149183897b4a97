"""What is packed against anything unpacks to the same bytes, and what Kubernetes writes often takes few of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Cache

PLACES = 6  # values of an object that differ
LEARNED = 6  # objects after which what differs is known to
HEADER = Path(__file__).parents[2] / "ext" / "engine" / "text_code.h"
WORDS = [
    str(json.loads(f'"{json.loads(word)}"'))  # the header has them as JSON has
    for word in re.findall(r'\{\d+, \d+, ("(?:[^"\\]|\\.)*")\}', HEADER.read_text())
]
RANDOM_NAME = "bcdfghjklmnpqrstvwxz2456789"

digits = st.text("0123456789abcdef", min_size=1, max_size=80)
pieces = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(["web", "web-5d4f8-abcde", "5d4f8", "0123456789abcdef" * 2, '{"uid":"', '"}', "k:"]),
    st.sampled_from(
        ["2026-11-23T05:06:07Z", "1969-12-31T23:59:59Z", "10.0.0.1", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"]
    ),
    st.text(RANDOM_NAME, min_size=1, max_size=12),
    st.integers(0, 10**20).map(str),
    digits,
    st.text(st.characters(codec="utf-8"), max_size=8),
)
texts = st.one_of(
    pieces,
    st.lists(pieces, max_size=8).map("".join),
    st.text(RANDOM_NAME, max_size=3).map(lambda name: f'k:{{"name":"{name}web"}}'),
    st.integers(0, 300).map(lambda size: "x" * size),
)
rows = st.lists(texts, min_size=PLACES, max_size=PLACES)


def document(number: int, values: list[str], name: str = "web-5d4f8", ascii_only: bool = False) -> bytes:
    """Of one shape whatever the values are; some of them are keys, which differ at their beginnings."""
    return json.dumps(
        {
            "metadata": {"name": f"{name}-{number:05}", "namespace": "shop", "labels": {f"0{values[0]}": values[1]}},
            "spec": {"a": values[2], "b": [values[3], {f"1{values[4]}": {}}]},
            "status": {"c": values[5], "d": values[1], "e": values[0]},
        },
        separators=(",", ":"),
        ensure_ascii=ascii_only,
    ).encode()


def stored(documents: list[bytes]) -> Cache:
    """Every one of them read back, in a cache that then holds them all."""
    cache = Cache()
    for raw in documents:
        cache.apply("ADDED", raw)
    for raw in documents:
        metadata = json.loads(raw)["metadata"]
        found = cache.get(f"{metadata['namespace']}/{metadata['name']}")
        assert found is not None
        assert found.raw == raw
    return cache


@settings(max_examples=300, deadline=None)
@given(st.lists(rows, min_size=1, max_size=12), st.integers(1, 3), st.booleans())
def test_any_value_comes_back_whatever_was_expected(values: list[list[str]], owners: int, ascii_only: bool) -> None:
    plain = [[f"v{place}" for place in range(PLACES)]] * 2
    learning = [[f"v{place}{number}" for place in range(PLACES)] for number in range(LEARNED)]
    stored(
        [
            document(number, row, f"web{number % owners}-5d4f8", ascii_only)
            for number, row in enumerate([*plain, *learning, *values])
        ]
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_a_value_comes_back_that_stood_elsewhere_in_the_object(pool: list[str], random: Random) -> None:
    known = [*pool, *(f'k:{{"name":"{text}"}}' for text in pool), *(f"{text}-config" for text in pool)]
    stored([document(number, random.choices(known, k=PLACES)) for number in range(LEARNED + 20)])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9, 14, 15, 16, 17, 31])
def test_every_character_comes_back(size: int) -> None:
    characters = [chr(code) for code in range(0x250)] + ["日", "😀"]
    lone = [["v" * size] * PLACES, *([character * size] * PLACES for character in characters)]
    among = [["etcd-" + character + "-config" * (size % 4)] * PLACES for character in characters]
    stored([document(number, row) for number, row in enumerate(lone + among)])


def test_every_word_comes_back_whole_cut_and_beside_others() -> None:
    assert len(WORDS) > 200
    cut = [word[:size] for word in WORDS for size in range(len(word) + 1)]
    beside = [left + right for left, right in zip(WORDS, reversed(WORDS), strict=True)]
    everything = ["".join(WORDS), "".join(reversed(WORDS))]
    values = [*cut, *beside, *everything, *("x" + word + "y" for word in WORDS)]
    stored([document(number, [value] * PLACES) for number, value in enumerate(values)])


@pytest.mark.parametrize("size", [253, 254, 255, 256, 257, 510, 511, 512, 5000])
def test_long_shared_ends_and_long_differences_come_back(size: int) -> None:
    values = [
        "a" * size + "b" + "c" * size, "a" * size + "d" + "c" * size, "a" * size, "c" * size, "e" * size + "c" * size,
        "a" * size + "0123456789abcdef" * 4, "a" * size + "0123456789abcdef" * 40, "é" * size, "a" * size + "é" * size,
    ]  # fmt: skip
    stored([document(number, [value] * PLACES) for number, value in enumerate(values * 3)])


def test_a_name_as_long_as_can_be_is_found_in_values() -> None:
    name = "n" * 120 + "." + "m" * 120
    parts = [name, name[:100], name[100:], name[:6], name[-7:], name + "x", "x" + name, f'k:{{"name":"{name}"}}']
    stored([document(number, [parts[number % 8]] * PLACES, name) for number in range(40)])


def bytes_each(texts: list[str]) -> float:
    """Of objects with nothing in common but their structure."""
    documents = [document(number, [*[""] * 5, text], f"web{number}") for number, text in enumerate(texts)]
    return stored(documents).stats()["record_bytes"] / len(documents)


def test_texts_of_kubernetes_take_half_the_bytes_of_others() -> None:
    random = Random(1)
    paths = ["/".join(random.choices(WORDS, k=6)).replace('"', "") for _ in range(400)]
    others = ["".join(random.choices("~^|`QXZ{}", k=len(path))) for path in paths]
    saved = bytes_each(others) - bytes_each(paths)
    assert saved > sum(map(len, paths)) / len(paths) / 2
