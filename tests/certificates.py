"""Certificates made for one run of the tests: an authority, servers, clients; all PEM files."""

import dataclasses
import datetime
import ipaddress
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.leaks import new_secret

DAY = datetime.timedelta(days=1)
Encryption = serialization.KeySerializationEncryption


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key. both: key and certificate in one file, as Kafka wants them."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates; its own is `certificate`. Everything lies in `folder`."""

    def __init__(self, folder: Path, name: str = "Driftline tests") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str) -> Pair:
        """For a server on this machine, at 127.0.0.1 or localhost and nowhere else."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        hosts: list[x509.GeneralName] = [x509.DNSName("localhost"), address]
        return self._sign(name, ExtendedKeyUsageOID.SERVER_AUTH, hosts)

    def client(self, name: str, password: str | None = None) -> Pair:
        """For a client; its key is encrypted where there is a password."""
        return self._sign(name, ExtendedKeyUsageOID.CLIENT_AUTH, [], password)

    def _sign(
        self,
        name: str,
        purpose: x509.ObjectIdentifier,
        hosts: list[x509.GeneralName],
        password: str | None = None,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(subject, self._name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        return self._write(name, key, made, password)

    def _write(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        made: x509.Certificate,
        password: str | None,
    ) -> Pair:
        lock: Encryption = serialization.NoEncryption()
        if password is not None:
            lock = serialization.BestAvailableEncryption(password.encode())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock
        )
        public = made.public_bytes(serialization.Encoding.PEM)
        paths = [self.folder / f"{name}{end}" for end in (".pem", ".key", "-both.pem")]
        for path, content in zip(paths, (public, secret, secret + public), strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return Pair(*paths)


@dataclasses.dataclass(frozen=True, slots=True)
class Papers:
    """Ours, and what goes wrong: an authority nobody trusts, a key that is encrypted."""

    authority: Authority
    stranger: Authority
    client: Pair
    locked: Pair
    key_password: str

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Files in `folder`."""
        authority, password = Authority(folder / "ours"), new_secret()
        client, locked = authority.client("client"), authority.client("locked", password)
        return cls(authority, Authority(folder / "theirs"), client, locked, password)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
