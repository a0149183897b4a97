"""Kubeconfig files and in-cluster configuration; every fault is one line that names the file and the field."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.client.kubeconfig import ClusterConfig, ConfigError, TokenFile, in_cluster, load
from engine.server.certificates import Certificates
from engine.server.request import ADMIN


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.open(tmp_path_factory.mktemp("pki"))


def document(**changes: Any) -> dict[str, Any]:
    """A complete kubeconfig; `cluster`, `user` and `context` replace those entries, other names top-level fields."""
    cluster = changes.pop("cluster", {"server": "https://127.0.0.1:6443"})
    user = changes.pop("user", {"token": "secret"})
    context = changes.pop("context", {"cluster": "c", "user": "u"})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "contexts": [{"name": "x", "context": context}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        **changes,
    }


def written(folder: Path, content: dict[str, Any] | str) -> Path:
    path = folder / "config"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_the_current_context_chooses_cluster_and_user(tmp_path: Path) -> None:
    content = document(context={"cluster": "c", "user": "u", "namespace": "team"})
    content["contexts"].append({"name": "other", "context": {"cluster": "d", "user": "u"}})
    content["clusters"].append({"name": "d", "cluster": {"server": "https://other:1/"}})
    path = written(tmp_path, content)
    config = load(path)
    assert (config.server, config.bearer(), config.namespace) == ("https://127.0.0.1:6443", "secret", "team")
    assert load(path, context="other").server == "https://other:1"
    assert load(path, context="other").namespace == "default"


def test_certificates_come_inline_or_from_files_beside_the_config(tmp_path: Path, certificates: Certificates) -> None:
    certificate, key = certificates.client(ADMIN)

    def inline(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    by_data = load(
        written(
            tmp_path,
            document(
                cluster={"server": "https://x", "certificate-authority-data": inline(certificates.authority)},
                user={"client-certificate-data": inline(certificate), "client-key-data": inline(key)},
            ),
        )
    )
    for file in (certificates.authority, certificate, key):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    by_file = load(
        written(
            tmp_path,
            document(
                cluster={"server": "https://x", "certificate-authority": certificates.authority.name},
                user={"client-certificate": certificate.name, "client-key": key.name},
            ),
        )
    )
    assert by_data == by_file
    assert by_data.ca == certificates.authority.read_bytes()
    context = by_data.ssl_context()
    assert context is not None
    assert context.check_hostname


def test_data_wins_over_a_file(tmp_path: Path) -> None:
    data = base64.b64encode(b"inline").decode()
    cluster = {"server": "https://x", "certificate-authority-data": data, "certificate-authority": "missing"}
    assert load(written(tmp_path, document(cluster=cluster))).ca == b"inline"


def test_insecure_checks_no_certificate(tmp_path: Path) -> None:
    path = written(tmp_path, document(cluster={"server": "https://x", "insecure-skip-tls-verify": True}))
    context = load(path).ssl_context()
    assert context is not None
    assert not context.check_hostname


def test_plain_http_has_no_tls() -> None:
    assert ClusterConfig("http://x").ssl_context() is None


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(ClusterConfig("https://x", token="hidden", client_key=b"hidden"))


def test_a_token_file_wins_over_a_token_and_is_read_again_once_a_minute(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    config = load(written(tmp_path, document(user={"token": "text", "tokenFile": "token"})))
    assert config.bearer() == "one"
    (tmp_path / "token").write_text("two\n")
    assert config.bearer() == "one"
    assert config.bearer(fresh=True) == "two"
    file = TokenFile(tmp_path / "token")
    assert file.read(now=100.0) == "two"
    (tmp_path / "token").write_text("three\n")
    assert file.read(now=159.0) == "two"
    assert file.read(now=160.0) == "three"
    (tmp_path / "token").unlink()
    assert file.read(now=300.0) == "three"


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, document())
    monkeypatch.setenv("KUBECONFIG", f":{path}:/nowhere")
    assert load().server == "https://127.0.0.1:6443"


def test_a_pod_finds_its_own_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("pod-token")
    (tmp_path / "ca.crt").write_bytes(b"authority")
    (tmp_path / "namespace").write_text("team\n")
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    config = in_cluster(tmp_path, environ)
    assert (config.server, config.bearer(), config.ca, config.namespace) == (
        "https://10.0.0.1:443",
        "pod-token",
        b"authority",
        "team",
    )
    assert in_cluster(tmp_path, {**environ, "KUBERNETES_SERVICE_HOST": "fd00::1"}).server == "https://[fd00::1]:443"
    with pytest.raises(ConfigError, match="not in a cluster"):
        in_cluster(tmp_path, {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: [", "not YAML"),
        ("[]", "not a kubeconfig"),
        ({}, "current-context is not set"),
        (document(contexts=[]), "contexts has no entry named x"),
        (document(contexts="?"), "contexts is not a list"),
        (document(context={"user": "u"}), "contexts[x].context.cluster is not set"),
        (document(clusters=[]), "clusters has no entry named c"),
        (document(users=[]), "users has no entry named u"),
        (document(cluster={}), "clusters[c].cluster.server is not set"),
        (document(cluster={"server": "127.0.0.1:6443"}), "clusters[c].cluster.server is no http or https URL"),
        (document(cluster={"server": 6443}), "clusters[c].cluster.server is not a string"),
        (
            document(cluster={"server": "https://x", "insecure-skip-tls-verify": "yes"}),
            "insecure-skip-tls-verify is not true or false",
        ),
        (
            document(cluster={"server": "https://x", "certificate-authority-data": "%"}),
            "clusters[c].cluster.certificate-authority-data is not base64",
        ),
        (
            document(cluster={"server": "https://x", "certificate-authority": "gone.crt"}),
            "clusters[c].cluster.certificate-authority: cannot read",
        ),
        (document(user={"client-certificate-data": "eA=="}), "users[u].user.client-key is not set"),
        (document(user={"client-key-data": "eA=="}), "users[u].user.client-certificate is not set"),
        (document(user="?"), "users[u].user is not a mapping"),
    ],
)
def test_a_fault_is_one_line_that_names_file_and_field(tmp_path: Path, content: Any, words: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gone: cannot read the kubeconfig: No such file"):
        load(tmp_path / "gone")


def test_certificates_that_are_none_are_named() -> None:
    with pytest.raises(ConfigError, match="certificate-authority: no PEM certificate"):
        ClusterConfig("https://x", ca=b"nonsense").ssl_context()
    with pytest.raises(ConfigError, match="client-certificate, client-key: not a certificate and its key"):
        ClusterConfig("https://x", client_certificate=b"nonsense", client_key=b"nonsense").ssl_context()
