"""Addresses of pods: loopback addresses unique on the machine, and synthetic ones for simulated pods."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

FIRST = int(IPv4Address("127.1.0.1"))  # 127.0.0.0/16 is left to whatever else the machine does
LAST = int(IPv4Address("127.255.255.254"))
REGISTRY = Path(tempfile.gettempdir()) / "engine-loopback"


class AddressesExhausted(Exception):
    """Every address is held by a pod that exists."""


class LoopbackAddresses:
    """Gives each pod an address of 127.0.0.0/8.

    The machine's register is a directory with one file per address, named as the address, holding the directory of the
    pod it belongs to: kept until it is released or that directory is gone, whatever happens to the processes, and
    shared by all control planes of the machine. Claims and releases happen under the register's lock.
    """

    def __init__(self, registry: Path = REGISTRY) -> None:
        self._registry = registry
        self._next = random.randrange(FIRST, LAST)  # a released address is not used again at once

    def claim(self, pod: Path) -> str:
        """An address for the pod with this directory, which must exist."""
        with self._locked() as registry:
            for _ in range(LAST - FIRST):
                self._next = self._next + 1 if self._next < LAST else FIRST
                if self._next & 0xFF in (0, 0xFF):
                    continue
                address = str(IPv4Address(self._next))
                file = registry / address
                if file.exists() and not self._is_stale(file):
                    continue
                file.write_text(str(pod), encoding="utf-8")
                return address
        raise AddressesExhausted(f"all of {self._registry} is taken")

    def keep(self, address: str, pod: Path) -> bool:
        """Registers again what the pod had; False when another pod has it by now."""
        with self._locked() as registry:
            file = registry / address
            with suppress(FileNotFoundError):
                if file.read_text(encoding="utf-8") != str(pod) and not self._is_stale(file):
                    return False
            file.write_text(str(pod), encoding="utf-8")
            return True

    def prune(self) -> None:
        """Forgets the addresses of pods whose directories were removed behind our back."""
        with self._locked() as registry:
            for file in registry.iterdir():
                with suppress(PermissionError):  # another user's
                    if self._is_stale(file):
                        file.unlink()
            with suppress(OSError):
                registry.rmdir()

    def release(self, address: str, pod: Path) -> None:
        with self._locked() as registry:
            file = registry / address
            with suppress(FileNotFoundError):
                if file.read_text(encoding="utf-8") == str(pod):
                    file.unlink()
            with suppress(OSError):
                registry.rmdir()  # the last one leaves nothing behind

    def _is_stale(self, file: Path) -> bool:
        try:
            os.stat(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return True
        except OSError:
            return False  # another user's pod
        return False

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        while True:
            with suppress(FileExistsError):
                self._registry.mkdir()
                self._registry.chmod(0o1777)
            try:
                fd = os.open(self._registry, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.fstat(fd).st_nlink:  # not removed while we waited
                    yield self._registry
                    return
            finally:
                os.close(fd)


class SyntheticAddresses:
    """Addresses of a network that does not exist, in order; those of pods that ended are given again."""

    def __init__(self, first: str = "10.0.0.1", count: int = (1 << 24) - 2) -> None:
        self._first = int(IPv4Address(first))
        self._count = count
        self._used: set[int] = set()
        self._next = 0

    def claim(self) -> str:
        if len(self._used) >= self._count:
            raise AddressesExhausted(f"{self._count} addresses are in use")
        while True:
            number = self._first + self._next
            self._next = (self._next + 1) % self._count
            if number not in self._used:
                self._used.add(number)
                return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def keep(self, address: str) -> None:
        self._used.add(_number(address))

    def release(self, address: str) -> None:
        self._used.discard(_number(address))


def _number(address: str) -> int:
    a, b, c, d = address.split(".")
    return int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)
