"""Addresses of pods."""

from __future__ import annotations

import shutil
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from engine.kubelet.addresses import AddressesExhausted, LoopbackAddresses, SyntheticAddresses


def directory(root: Path, name: str) -> Path:
    path = root / name
    path.mkdir()
    return path


def test_addresses_are_unique_among_all_who_share_the_register(tmp_path: Path) -> None:
    one, other = LoopbackAddresses(tmp_path / "register"), LoopbackAddresses(tmp_path / "register")
    pods = [directory(tmp_path, f"pod-{n}") for n in range(40)]
    claimed = [(one, other)[n % 2].claim(pod) for n, pod in enumerate(pods)]
    assert len(set(claimed)) == 40
    assert all(IPv4Address(address) in IPv4Network("127.0.0.0/8") for address in claimed)


def test_an_address_is_kept_for_as_long_as_the_pods_directory_exists(tmp_path: Path) -> None:
    addresses = LoopbackAddresses(tmp_path / "register")
    pod, other = directory(tmp_path, "pod"), directory(tmp_path, "other")
    address = addresses.claim(pod)
    again = LoopbackAddresses(tmp_path / "register")
    assert again.keep(address, pod)
    assert not again.keep(address, other)
    shutil.rmtree(pod)
    assert again.keep(address, other)


def test_pruning_forgets_pods_whose_directories_are_gone(tmp_path: Path) -> None:
    addresses = LoopbackAddresses(tmp_path / "register")
    pod, other = directory(tmp_path, "pod"), directory(tmp_path, "other")
    kept, _ = addresses.claim(pod), addresses.claim(other)
    other.rmdir()
    LoopbackAddresses(tmp_path / "register").prune()
    assert [file.name for file in (tmp_path / "register").iterdir()] == [kept]


def test_the_last_release_removes_the_register(tmp_path: Path) -> None:
    addresses = LoopbackAddresses(tmp_path / "register")
    pod = directory(tmp_path, "pod")
    address = addresses.claim(pod)
    addresses.release(address, directory(tmp_path, "other"))
    assert (tmp_path / "register").exists()
    addresses.release(address, pod)
    assert not (tmp_path / "register").exists()


def test_synthetic_addresses_are_unique_and_used_again() -> None:
    addresses = SyntheticAddresses(first="10.0.0.255", count=3)
    addresses.keep("10.0.1.0")
    assert [addresses.claim(), addresses.claim()] == ["10.0.0.255", "10.0.1.1"]
    with pytest.raises(AddressesExhausted):
        addresses.claim()
    addresses.release("10.0.1.0")
    assert addresses.claim() == "10.0.1.0"
