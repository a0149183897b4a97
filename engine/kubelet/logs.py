"""What containers wrote: read from the shims' files, across rotations, as they are written."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from engine._object import Object
from engine.api import timestamps
from engine.api.errors import bad_request
from engine.kubelet.attempt import Attempt, attempts_of
from engine.server.podlogs import LogOptions

CHUNK_BYTES = 1 << 16
POLL_SECONDS = 0.1  # how often a file that is being followed is looked at


class ContainerLogs:
    """Answers `pods/log` from the directory of a process runtime in this machine."""

    def __init__(self, directory: Path) -> None:
        self._pods_directory = directory / "pods"

    async def open(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        """The log as it comes. StatusError 400 for a container that has not started, or has no previous attempt.
        A follow ends when the container has ended."""
        attempt = self._attempt(pod, options.container, previous=options.previous)
        return _limited(_lines(attempt, options), options.limit_bytes)

    def _attempt(self, pod: Object, container: str, *, previous: bool) -> Attempt:
        ran = [a for a in attempts_of(self._pods_directory / pod.uid / container) if (a.directory / "log").exists()]
        if previous:
            if len(ran) < 2:
                raise bad_request(f'previous terminated container "{container}" in pod "{pod.name}" not found')
            return ran[-2]
        if not ran:
            reason = _waiting_reason(pod, container)
            raise bad_request(f'container "{container}" in pod "{pod.name}" is waiting to start: {reason}')
        return ran[-1]


class NoLogs:
    """Answers `pods/log` for simulated pods: they write nothing."""

    async def open(self, pod: Object, options: LogOptions) -> AsyncIterator[bytes]:
        return _nothing()


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in list[bytes]():
        yield chunk


def _waiting_reason(pod: Object, container: str) -> str:
    status = pod.peek().get("status") or {}
    for told in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        if told["name"] == container and (waiting := told["state"].get("waiting")):
            return str(waiting["reason"])
    return "ContainerCreating"


async def _limited(lines: AsyncIterator[bytes], limit: int | None) -> AsyncIterator[bytes]:
    """At most so many bytes, in chunks of whole reads."""
    left = limit
    async for chunk in lines:
        if left is not None and len(chunk) >= left:
            if left:
                yield chunk[:left]
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


async def _lines(attempt: Attempt, options: LogOptions) -> AsyncIterator[bytes]:
    """What is there, then what comes. One file is open at a time: its successor is looked for at its end."""
    since = _since(options)
    if options.tail_lines is None:
        current = _oldest(attempt.directory)
    else:
        text, current = await asyncio.to_thread(_tail, attempt.directory, since, options)
        yield text
    while current is not None:
        # Looked at before the last read: the end is recorded after the last line.
        over = not options.follow or attempt.ended() is not None or not attempt.directory.exists()
        for chunk in _chunks(current, since, with_timestamps=options.timestamps):
            yield chunk
        if following := _successor(attempt.directory, current):
            # Nothing is written any more to a file that has a successor: what came since the read is the rest of it.
            for chunk in _chunks(current, since, with_timestamps=options.timestamps):
                yield chunk
            current.close()
            current = following
        elif over:
            current.close()
            return
        else:
            await asyncio.sleep(POLL_SECONDS)


def _tail(directory: Path, since: bytes, options: LogOptions) -> tuple[bytes, BinaryIO | None]:
    """The last lines, and the newest file behind them. Reads no more files than it needs; takes a thread's time."""
    wanted = options.tail_lines or 0
    files = _files(directory)
    records: list[bytes] = []
    for file in reversed(files):
        records[:0] = [record for record in _records(file) if record >= since]
        if sum(_ends_line(record) for record in records) > wanted:
            break
    for file in files[:-1]:
        file.close()
    text = b"".join(_text(record, options.timestamps) for record in _last(records, wanted))
    return text, files[-1] if files else None


def _since(options: LogOptions) -> bytes:
    """Records compare as bytes: each begins with its time. b"" is before all."""
    if options.since_time:
        return timestamps.canonical_micro(options.since_time)[:-1].encode()
    if options.since_seconds is not None:
        at = time.time() - options.since_seconds
        return (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e9):09d}").encode()
    return b""


def _files(directory: Path) -> list[BinaryIO]:
    """All files of the log, oldest first. A rotation in between renames files that are open by then."""
    opened: dict[int, BinaryIO] = {}
    for name in (*sorted(_rotated(directory), key=lambda name: -int(name[4:])), "log"):
        with suppress(FileNotFoundError):
            file = (directory / name).open("rb")
            opened.setdefault(os.fstat(file.fileno()).st_ino, file)
    return list(opened.values())


def _oldest(directory: Path) -> BinaryIO | None:
    files = _files(directory)
    for file in files[1:]:
        file.close()
    return files[0] if files else None


def _rotated(directory: Path) -> list[str]:
    if not directory.exists():  # removed with its pod
        return []
    return [name for name in os.listdir(directory) if name.startswith("log.") and name[4:].isdigit()]


def _successor(directory: Path, current: BinaryIO) -> BinaryIO | None:
    """The file that was begun after this one; the oldest that is left when this one was rotated away."""
    files = _files(directory)
    inodes = [os.fstat(file.fileno()).st_ino for file in files]
    own = os.fstat(current.fileno()).st_ino
    index = inodes.index(own) + 1 if own in inodes else 0
    for at, file in enumerate(files):
        if at != index:
            file.close()
    return files[index] if index < len(files) else None


def _records(file: BinaryIO) -> Iterator[bytes]:
    """The complete records from where the file stands; what is half written is left for later."""
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), os.SEEK_CUR)
            return
        yield line


def _chunks(file: BinaryIO, since: bytes, *, with_timestamps: bool) -> Iterator[bytes]:
    """What was written since, in pieces of some size."""
    parts: list[bytes] = []
    size = 0
    for record in _records(file):
        if record >= since:
            parts.append(_text(record, with_timestamps))
            size += len(parts[-1])
            if size >= CHUNK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _last(records: list[bytes], lines: int) -> Iterator[bytes]:
    """The last lines; a line may be several records."""
    wanted: deque[bytes] = deque()
    for record in reversed(records):
        if _ends_line(record) or not wanted:
            if not lines:
                break
            lines -= 1
        wanted.appendleft(record)
    return iter(wanted)


def _ends_line(record: bytes) -> bool:
    return record.split(b" ", 3)[2] == b"F"


def _text(record: bytes, with_timestamps: bool) -> bytes:
    """A record as it was written, without the line end when the line goes on in the next."""
    stamp, _, tag, text = record.split(b" ", 3)
    text = text if tag == b"F" else text[:-1]
    return b"%s %s" % (stamp, text) if with_timestamps else text
