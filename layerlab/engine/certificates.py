"""Certificates of one engine that answers over TCP: of an authority for it alone, of the engine, of its client.

As docs.docker.com has them ("Protect the Docker daemon socket"). Who has the client's is root on the engine.
They are made for one start; the authority's key is written nowhere, so nobody can ever make more of them.
"""

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from layerlab.engine.tls import AUTHORITY, CERTIFICATE, KEY

#: The clock of a client may be behind the engine's.
_BEFORE = timedelta(hours=1)
#: They end with the engine's run, however long that is.
_AFTER = timedelta(days=3650)


def make(folder: Path, address: str) -> None:
    """Write the files for an engine that answers at an IP address, in ``server/`` and ``client/``.

    Each has the authority's certificate, one of its own and the key to it; keys are for this user alone.
    """
    authority = _Authority()
    itself = x509.IPAddress(ipaddress.ip_address(address))
    for name, usage, names in (
        ("server", ExtendedKeyUsageOID.SERVER_AUTH, [itself]),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH, []),
    ):
        key = _key()
        own = folder / name
        own.mkdir(parents=True)
        (own / AUTHORITY).write_bytes(_pem(authority.certificate))
        (own / CERTIFICATE).write_bytes(_pem(authority.vouch(name, key, usage, names)))
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with os.fdopen(os.open(own / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as to:
            to.write(text)


class _Authority:
    """Who vouches for an engine to its client, and for the client to the engine."""

    def __init__(self) -> None:
        self._key = _key()
        self._name = _named("authority")
        usage = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        self.certificate = (
            self._begun(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def vouch(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        usage: x509.ObjectIdentifier,
        names: list[x509.IPAddress],
    ) -> x509.Certificate:
        """A certificate for a key, for one usage, and for the addresses at which its owner answers."""
        begun = self._begun(_named(name), key).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if names:
            begun = begun.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return begun.sign(self._key, hashes.SHA256())

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + _AFTER)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(issuer, critical=False)
        )


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"layerlab {name}")])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
