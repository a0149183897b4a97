"""What a new version of an object kept of its older one is taken over as it was packed: whatever it refers to, the
bytes are the object's, the columns its values, and what is no JSON is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine import Cache

OBJECTS = 12
VERSIONS = 8  # after so many of each it is known what varies, and what is kept as a rule
LAST = f"web-{OBJECTS - 1:03}"

Document = Callable[[int, int], bytes]


def filled(document: Document, **indexes: str) -> tuple[Cache, int]:
    """A cache of siblings that changed often, and the last revision."""
    cache = Cache(indexes)
    revision = 1000
    for number in range(OBJECTS):
        for _ in range(VERSIONS):
            revision += 1
            cache.apply("MODIFIED", document(number, revision))
    return cache, revision


def raw_of(cache: Cache, key: str) -> bytes:
    found = cache.get(key)
    assert found is not None
    return found.raw


def metadata(number: int, revision: int, more: str) -> str:
    return f'"metadata":{{"name":"web-{number:03}","resourceVersion":"{revision}",{more}}}'


def copied(number: int, revision: int, copy: int | None = None) -> bytes:
    more = f'"copy":"{revision if copy is None else copy}"'
    return f'{{{metadata(number, revision, more)},"status":{{"v":{revision % 7}}}}}'.encode()


def test_a_value_that_was_the_revision_is_no_revision() -> None:
    cache, revision = filled(copied)
    changed = copied(OBJECTS - 1, revision + 1, revision + 2)
    cache.apply("MODIFIED", changed)
    assert raw_of(cache, LAST) == changed
    assert cache.resource_version == revision + 1


def test_a_column_of_what_equals_the_revision_follows_it() -> None:
    cache, revision = filled(copied, copy="metadata.copy")
    cache.apply("MODIFIED", copied(OBJECTS - 1, revision + 1))
    assert cache.index_keys("copy", str(revision + 1)) == [LAST]


def named(number: int, revision: int, node: str | None = None) -> bytes:
    node = node or f"node-{number * 7919 % 9999:04}"
    more = f'"annotations":{{"x":"{node}"}}'
    return f'{{{metadata(number, revision, more)},"status":{{"node":"{node}","k":[]}}}}'.encode()


def test_a_column_of_what_refers_to_a_value_that_changed_follows_it() -> None:
    cache, revision = filled(named, node="status.node")
    changed = named(OBJECTS - 1, revision + 1, "other-1234")
    cache.apply("MODIFIED", changed)
    assert raw_of(cache, LAST) == changed
    assert cache.index_keys("node", "other-1234") == [LAST]


def unquoted(number: int, revision: int, node: str | None = None) -> bytes:
    node = node or f"{100000 + number * 7919 % 9999}.5"
    more = f'"annotations":{{"x":"{node}"}}'
    return f'{{{metadata(number, revision, more)},"status":{{"node":{node},"k":[]}}}}'.encode()


def cut(number: int, revision: int, node: bytes = b"", ends: tuple[bytes, bytes] = (b"\xc3\xa9", b"\xc3\xa8")) -> bytes:
    node = node or b"%05d-x-y" % (number * 7919 % 9999)
    more = metadata(number, revision, '"annotations":{"x":"@"}').encode().replace(b"@", node + ends[0])
    return b'{%b,"status":{"node":"%b","k":[]}}' % (more, node + ends[1])


def keyed(number: int, revision: int, key: str | None = None) -> bytes:
    key = key or f"key-{number * 7919 % 9999:05}"
    more = f'"annotations":{{"x":"{key}"}}'
    return f'{{{metadata(number, revision, more)},"status":{{"m":{{"abcdefg":1,"{key}":2}}}}}}'.encode()


@pytest.mark.parametrize(
    ("document", "changed"),
    [
        (unquoted, lambda revision: unquoted(OBJECTS - 1, revision, "hello!!")),
        (cut, lambda revision: cut(OBJECTS - 1, revision, b"12345-x-y", (b"bb", b"b\xa8"))),
        (keyed, lambda revision: keyed(OBJECTS - 1, revision, "abcdefg")),
    ],
    ids=["a text for a number", "half a character", "a key twice"],
)
def test_what_refers_to_a_value_that_changed_is_checked(document: Document, changed: Callable[[int], bytes]) -> None:
    cache, revision = filled(document)
    before = raw_of(cache, LAST)
    with pytest.raises(ValueError, match=LAST):
        cache.apply("MODIFIED", changed(revision + 1))
    assert raw_of(cache, LAST) == before


def test_a_list_may_be_without_all_that_is_there() -> None:
    cache, revision = filled(named, node="status.node")
    cache.replacement(revision + 1).finish()
    assert (len(cache), cache.index_values("node")) == (0, [])
