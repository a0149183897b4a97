"""What a person may type wrong: one line on standard error and the right exit code, never a traceback."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import BIN, Cluster, until


def engine(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "engine"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=folder, check=False)


def complaint(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("engine: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["fly"], "fly"),
        (["up", "--nodes", "many"], "--nodes"),
        (["up", "--nodes", "-1"], "--nodes"),
        (["up", "--storage", "tape"], "tape"),
        (["up", "--listen", "nowhere"], "nowhere"),
        (["up", "--listen", "127.0.0.1:99999"], "99999"),
        (["up", "--storage", "etcd"], "--etcd-endpoints"),
        (["up", "--etcd-endpoints", "http://127.0.0.1:1"], "--storage etcd"),
        (["up", "--turbo"], "--turbo"),
        (["up", "--image", "nginx"], "IMAGE=COMMAND"),
        (["up", "--image", "nginx='unclosed"], "nginx"),
        (["scheduler"], "--kubeconfig"),
        (["scheduler", "--kubeconfig", "missing.yml"], "missing.yml"),
        (["kubelet", "--kubeconfig", ".", "--nodes", "2"], "--kubeconfig"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], named: str, tmp_path: Path) -> None:
    assert named in complaint(engine(*arguments, folder=tmp_path), 2)
    assert not list(tmp_path.iterdir()), "nothing was made"


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = complaint(engine("up", "--listen", f"127.0.0.1:{port}", folder=tmp_path), 1)
    assert f"127.0.0.1:{port}" in line
    assert "in use" in line


def test_a_data_directory_of_another_version_is_refused(tmp_path: Path, cluster: Callable[..., Cluster]) -> None:
    plane = cluster("--runtime", "simulated")
    assert plane.stop() == 0
    store = next((plane.folder / "data").glob("*.sqlite"))
    with sqlite3.connect(store) as database:
        changed = database.execute("UPDATE meta SET value = '999' WHERE name IN ('format', 'version')").rowcount
        assert changed
    line = complaint(
        engine("up", "--data-dir", str(plane.folder / "data"), "--listen", "127.0.0.1:0", folder=tmp_path), 4
    )
    assert "999" in line


def test_a_data_directory_in_use_is_refused(tmp_path: Path, cluster: Callable[..., Cluster]) -> None:
    plane = cluster("--runtime", "simulated")
    done = engine("up", "--data-dir", str(plane.folder / "data"), "--listen", "127.0.0.1:0", folder=tmp_path)
    assert "in use" in complaint(done, 4)


def test_a_damaged_store_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "store.sqlite").write_bytes(b"this is no database, whatever its name says" * 100)
    line = complaint(engine("up", "--data-dir", "d", "--listen", "127.0.0.1:0", folder=tmp_path), 4)
    assert "store.sqlite" in line


def test_a_kubeconfig_that_says_nothing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "kc").write_text("kind: Config\n")
    assert "kc" in complaint(engine("scheduler", "--kubeconfig", "kc", folder=tmp_path), 1)


def test_help_shows_defaults(tmp_path: Path) -> None:
    done = engine("up", "--help", folder=tmp_path)
    assert done.returncode == 0
    words = "".join(done.stdout.split())  # however the lines are cut
    for word in ("--data-dir", "[default:engine-data]", "127.0.0.1:6443", "sqlite", "process"):
        assert word in words


def test_version_as_json(tmp_path: Path) -> None:
    assert json.loads(engine("version", "--output", "json", folder=tmp_path).stdout)["version"]


def test_sigterm_ends_it_within_ten_seconds_with_exit_code_0(cluster: Callable[..., Cluster]) -> None:
    plane = cluster("--runtime", "simulated")
    started = time.monotonic()
    assert plane.stop() == 0
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_not_end_it(closed: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    command = f"{BIN}/engine up --runtime simulated --storage memory --listen 127.0.0.1:0 --kubeconfig {kubeconfig}"
    process = subprocess.Popen(["sh", "-c", f"exec {command} {closed}"], cwd=tmp_path, stdout=subprocess.PIPE)
    until(kubeconfig.exists, "it serves")
    process.terminate()
    assert process.wait(15) == 0


def test_an_image_can_be_given_a_command(cluster: Callable[..., Cluster]) -> None:
    plane = cluster("--image", "hello=sh -c 'echo mapped $0; exec sleep 60'")
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare"}}
    spec = {"containers": [{"name": "c", "image": "hello", "args": ["with-args"]}], "terminationGracePeriodSeconds": 0}
    plane.kubectl("create", "-f", "-", stdin=json.dumps({**bare, "spec": spec}))
    plane.kubectl("wait", "--for=condition=Ready", "pod/bare", "--timeout=30s")
    until(lambda: plane.kubectl("logs", "bare").stdout == "mapped with-args\n", "the mapped command's output")
