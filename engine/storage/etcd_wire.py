"""The few messages of etcd's v3 API that a store needs, in protobuf's wire format.

A message is a row of (field number, value): an int is a varint, bytes are length-delimited, None is left out. Reading
gives the fields back by number. The numbers are etcd's `rpc.proto` and `kv.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Fields = list[tuple[int, int | bytes]]

RANGE = "/etcdserverpb.KV/Range"
TXN = "/etcdserverpb.KV/Txn"
COMPACT = "/etcdserverpb.KV/Compact"
WATCH = "/etcdserverpb.Watch/Watch"


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first. Only what is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(*fields: tuple[int, int | bytes | None]) -> bytes:
    """One message. An int field of 0 is written too: `oneof` members need it."""
    out: list[bytes] = []
    for number, value in fields:
        if value is None:
            continue
        if isinstance(value, int):
            out += (varint(number << 3), varint(value))
        else:
            out += (varint(number << 3 | 2), varint(len(value)), value)
    return b"".join(out)


def read(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message, in order. ValueError when it is cut off or of a wire type that etcd doesn't use."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _read_varint(data, position)
        value, position = _read_varint(data, position)
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, value
        elif kind == 2 and position + value <= end:
            yield tag >> 3, data[position : position + value]
            position += value
        else:
            raise ValueError(f"field {tag >> 3} of wire type {kind} at byte {position} of {end}")


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("cut off inside a varint")


@dataclass(slots=True)
class KeyValue:
    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0


@dataclass(slots=True)
class RangeResponse:
    revision: int = 0
    kvs: list[KeyValue] = field(default_factory=list)
    more: bool = False


@dataclass(slots=True)
class TxnResponse:
    revision: int = 0
    succeeded: bool = False
    found: KeyValue | None = None  # what the failure branch read; None when the key does not exist


@dataclass(slots=True)
class WatchResponse:
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    events: list[tuple[bool, KeyValue]] = field(default_factory=list)  # (is a deletion, the key's new state)


def range_request(
    key: bytes, end: bytes | None = None, *, limit: int | None = None, revision: int | None = None
) -> bytes:
    return message((1, key), (2, end), (3, limit), (4, revision))


def txn_request(key: bytes, value: bytes | None, expected: int) -> bytes:
    """Puts `value` (None: deletes) if the key stands at mod revision `expected` (0: does not exist), else reads it."""
    equal, mod_revision = 0, 2
    compare = message((1, equal), (2, mod_revision), (3, key), (6, expected))
    write = message((3, message((1, key)))) if value is None else message((2, message((1, key), (2, value))))
    return message((1, compare), (2, write), (3, message((1, range_request(key)))))


def watch_request(key: bytes, end: bytes, revision: int) -> bytes:
    return message((1, message((1, key), (2, end), (3, revision))))


def compact_request(revision: int) -> bytes:
    return message((1, revision))


def key_value(data: bytes) -> KeyValue:
    kv = KeyValue()
    for number, value in read(data):
        match number, value:
            case 1, bytes():
                kv.key = value
            case 2, int():
                kv.create_revision = value
            case 3, int():
                kv.mod_revision = value
            case 5, bytes():
                kv.value = value
    return kv


def header_revision(data: bytes) -> int:
    return next((value for number, value in read(data) if number == 3 and isinstance(value, int)), 0)


def range_response(data: bytes) -> RangeResponse:
    response = RangeResponse()
    for number, value in read(data):
        match number, value:
            case 1, bytes():
                response.revision = header_revision(value)
            case 2, bytes():
                response.kvs.append(key_value(value))
            case 3, int():
                response.more = bool(value)
    return response


def txn_response(data: bytes) -> TxnResponse:
    response = TxnResponse()
    for number, value in read(data):
        match number, value:
            case 1, bytes():
                response.revision = header_revision(value)
            case 2, int():
                response.succeeded = bool(value)
            case 3, bytes():
                for operation, answer in read(value):
                    if operation == 1 and isinstance(answer, bytes):
                        response.found = next(iter(range_response(answer).kvs), None)
    return response


def watch_response(data: bytes) -> WatchResponse:
    response = WatchResponse()
    for number, value in read(data):
        match number, value:
            case 4, int():
                response.canceled = bool(value)
            case 5, int():
                response.compact_revision = value
            case 6, bytes():
                response.cancel_reason = value.decode("utf-8", "replace")
            case 11, bytes():
                response.events.append(_event(value))
    return response


def _event(data: bytes) -> tuple[bool, KeyValue]:
    deleted, kv = False, KeyValue()
    for number, value in read(data):
        match number, value:
            case 1, int():
                deleted = bool(value)
            case 2, bytes():
                kv = key_value(value)
    return deleted, kv
