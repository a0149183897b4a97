"""The control plane's own certificate authority, its certificates, and the kubeconfig that carries them."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import os
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.server.request import ADMIN, User

VALID_DAYS = 3650
RENEW_DAYS = 30  # a certificate with less than this left is made anew at start


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in one directory, made once and reused: the authority, the server's pair, the administrator's, a token."""

    directory: Path

    @classmethod
    def open(cls, directory: Path, *, names: Sequence[str] = ("localhost", "127.0.0.1")) -> Certificates:
        """Creates what is missing. The server's certificate is made anew when it does not cover every one of `names`
        (DNS names and IP addresses). Raises OSError when the directory cannot be written."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        certificates = cls(directory)
        if not _is_current(certificates.authority):
            _write_authority(certificates)
        if not _is_current(certificates.server_certificate) or not _covers(certificates.server_certificate, names):
            certificates._issue("apiserver", User("kube-apiserver"), names=names)
        certificates.client(ADMIN)
        if not certificates._token_file.exists():
            _write_private(certificates._token_file, secrets.token_urlsafe(32).encode())
        return certificates

    @property
    def authority(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def authority_key(self) -> Path:
        return self.directory / "ca.key"

    @property
    def server_certificate(self) -> Path:
        return self.directory / "apiserver.crt"

    @property
    def server_key(self) -> Path:
        return self.directory / "apiserver.key"

    @property
    def _token_file(self) -> Path:
        return self.directory / "admin.token"

    @property
    def token(self) -> str:
        """The administrator's bearer token."""
        return self._token_file.read_text().strip()

    def client(self, user: User) -> tuple[Path, Path]:
        """The certificate and key that authenticate `user` (common name) and its groups (organizations)."""
        stem = "".join(c if c.isalnum() or c in "-." else "_" for c in user.name)
        certificate = self.directory / f"{stem}.crt"
        if not _is_current(certificate):
            self._issue(stem, user)
        return certificate, self.directory / f"{stem}.key"

    def server_context(self) -> ssl.SSLContext:
        """For the HTTPS front: client certificates are optional, and must be ours when they are sent."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.server_certificate, self.server_key)
        context.load_verify_locations(self.authority)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context

    def write_kubeconfig(
        self, path: Path, server: str, *, user: User = ADMIN, token: str | None = None, name: str = "engine"
    ) -> None:
        """A kubeconfig for `server` (its URL) with the authority and `user`'s certificate embedded, and the token if
        given. Readable by its owner only; replaces the file in one step."""
        certificate, key = self.client(user)
        credentials: dict[str, str] = {
            "client-certificate-data": _embed(certificate),
            "client-key-data": _embed(key),
        }
        if token:
            credentials["token"] = token
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": server, "certificate-authority-data": _embed(self.authority)}}
            ],
            "users": [{"name": user.name, "user": credentials}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user.name}}],
            "current-context": name,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_private(path, yaml.safe_dump(document, sort_keys=False).encode())

    def _issue(self, stem: str, user: User, *, names: Sequence[str] = ()) -> None:
        authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
        signer = serialization.load_pem_private_key(self.authority_key.read_bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, g) for g in user.groups if g.startswith("system:")]
        subject = [attribute for attribute in subject if attribute.value != "system:authenticated"]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, user.name))
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(x509.Name(subject), authority.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        certificate = builder.sign(signer, hashes.SHA256())
        _write_pair(self.directory / stem, certificate, key)


def self_signed(stem: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """`stem`.crt, a serving certificate that only vouches for itself, and its `stem`.key: made once, and anew when it
    does not cover every one of `names` (DNS names and IP addresses). Raises OSError when they cannot be written."""
    certificate = stem.with_name(stem.name + ".crt")
    if not _is_current(certificate) or not _covers(certificate, names):
        stem.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        signed = (
            _builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write_pair(stem, signed, key)
    return certificate, stem.with_name(stem.name + ".key")


def _write_authority(certificates: Certificates) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "engine-ca")])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    for stale in certificates.directory.glob("*.crt"):
        stale.unlink()  # signed by an authority that is no more
    _write_pair(certificates.directory / "ca", certificate, key)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_current(certificate: Path) -> bool:
    if not certificate.exists() or not certificate.with_suffix(".key").exists():
        return False
    expires = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return expires - datetime.datetime.now(datetime.UTC) > datetime.timedelta(days=RENEW_DAYS)


def _covers(certificate: Path, names: Sequence[str]) -> bool:
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    covered = set(loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    return all(_general(name) in covered for name in names)


def _write_pair(stem: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # The key first: a certificate that is there means that its key is.
    _write_private(stem.with_name(stem.name + ".key"), secret)
    _write_private(stem.with_name(stem.name + ".crt"), certificate.public_bytes(serialization.Encoding.PEM))


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def _embed(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
