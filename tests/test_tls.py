"""TLS to an engine, without one: the certificates that are made, the files that are missing, what errors mean."""

import stat
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID
from docker import APIClient

from layerlab.engine import certificates, tls
from layerlab.errors import LabError

HOST = "tcp://198.18.0.2:2376"
FILES = ("ca.pem", "cert.pem", "key.pem")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    certificates.make(tmp_path / "made", "198.18.0.2")
    return tmp_path / "made"


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_each_side_has_its_own_and_one_authority_vouches_for_both(made: Path) -> None:
    authority = read(made / "server/ca.pem")
    assert authority == read(made / "client/ca.pem")
    now = datetime.now(UTC)
    for name, usage in (
        ("server", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        one = read(made / name / "cert.pem")
        one.verify_directly_issued_by(authority)
        assert one.not_valid_before_utc < now < one.not_valid_after_utc
        assert list(one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    names = read(made / "server/cert.pem").extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.IPAddress) == [ip_address("198.18.0.2")]


def test_keys_are_their_owners_alone_and_the_authority_s_is_nowhere(made: Path) -> None:
    assert sorted(str(file.relative_to(made)) for file in made.rglob("*.pem")) == [
        f"{name}/{file}" for name in ("client", "server") for file in FILES
    ]
    for name in ("client", "server"):
        assert stat.S_IMODE((made / name / "key.pem").stat().st_mode) == 0o600


def test_another_engine_s_authority_does_not_vouch(made: Path, tmp_path: Path) -> None:
    certificates.make(tmp_path / "other", "198.18.0.2")
    with pytest.raises(InvalidSignature):
        read(made / "client/cert.pem").verify_directly_issued_by(
            read(tmp_path / "other/server/ca.pem")
        )


@pytest.mark.parametrize(
    ("host", "environment", "folder"),
    [
        (HOST, {}, None),
        (HOST, {"DOCKER_CERT_PATH": "/certs"}, None),
        (HOST, {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, "/certs"),
        (HOST, {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "certs"}, "/here/certs"),
        (HOST, {"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": "/config"}, "/config"),
        (HOST, {"DOCKER_TLS_VERIFY": "1"}, "/home/me/.docker"),
        ("unix:///docker.sock", {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, None),
        ("ssh://me@there", {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, None),
    ],
)
def test_where_the_certificates_are(
    host: str, environment: dict[str, str], folder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("LAYERLAB_CALLED_FROM", "/here")
    wanted = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": folder} if folder else {}
    assert tls.of(host, environment) == wanted


def variables(folder: Path) -> dict[str, str]:
    return {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}


def test_what_the_sdk_is_given(made: Path) -> None:
    assert tls.config({}) is None
    found = tls.config(variables(made / "client"))
    assert found is not None
    assert found.ca_cert == str(made / "client/ca.pem")
    assert found.cert == (str(made / "client/cert.pem"), str(made / "client/key.pem"))
    for name in ("cert.pem", "key.pem"):
        (made / "client" / name).unlink()
    found = tls.config(variables(made / "client"))
    assert found is not None
    assert not found.cert  # the engine says whether it wants one


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_file_is_named(made: Path, missing: str) -> None:
    (made / "client" / missing).unlink()
    with pytest.raises(LabError) as caught:
        tls.config(variables(made / "client"))
    assert str(caught.value).startswith(f"{made}/client/{missing}: No such file or directory: ")


# What docker-py 7.2 said of Engine 28.5.2, and, with WRONG_VERSION_NUMBER, of a server without TLS.
PLAIN = (
    "Error while fetching server API version: 400 Client Error for http://198.18.0.2:2376/version: "
    'Bad Request ("Client sent an HTTP request to an HTTPS server.")'
)
FAILED = (
    "Error while fetching server API version: HTTPSConnectionPool(host='198.18.0.2', port=2376): "
    "Max retries exceeded with url: /version (Caused by SSLError({}))"
)
WANTED = (
    "SSLError(1, '[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required "
    "(_ssl.c:2580)')"
)
UNKNOWN = "SSLError(1, '[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)')"
NOT_VERIFIED = (
    "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
    "unable to get local issuer certificate (_ssl.c:1006)')"
)
NONE = "SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)')"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (PLAIN, "speaks TLS only: set DOCKER_TLS_VERIFY=1"),
        (FAILED.format(WANTED), "does not take this client's certificate: get cert.pem"),
        (FAILED.format(UNKNOWN), "does not take this client's certificate: get cert.pem"),
        (FAILED.format(NOT_VERIFIED), "shows a certificate that "),
        (FAILED.format(NONE), "speaks no TLS at this port: name the one that does (2376"),
    ],
)
def test_what_errors_mean(made: Path, said: str, sentence: str) -> None:
    told = tls.mismatch(said, variables(made / "client"))
    assert told is not None
    assert told.startswith(sentence)


def test_a_client_without_a_certificate_is_told_so(made: Path) -> None:
    (made / "client/cert.pem").unlink()
    told = tls.mismatch(FAILED.format(WANTED), variables(made / "client"))
    assert told is not None
    assert told.startswith("takes no client without a certificate: get cert.pem")


@pytest.mark.parametrize("said", ["Connection refused", "Connection aborted"])
def test_what_is_no_matter_of_tls(made: Path, said: str) -> None:
    """Such as an engine that ends in mid-run."""
    assert tls.mismatch(said, variables(made / "client")) is None
    assert tls.mismatch(FAILED.format(NONE), {}) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("ca.pem", "ca.pem: no certificate that can be read"), ("key.pem", "can't be read")],
)
def test_a_damaged_file_is_told(made: Path, name: str, sentence: str) -> None:
    (made / "client" / name).write_text("damaged")
    with pytest.raises(LabError, match=sentence):
        tls.config(variables(made / "client"))


def test_the_engine_s_own_authority_alone_is_asked(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE would go before it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made / "server/cert.pem"))
    found = tls.config(variables(made / "client"))
    assert found is not None
    client = APIClient("tcp://198.18.0.2:2376", version="1.41", tls=found)
    asked = client.merge_environment_settings("https://198.18.0.2:2376/", {}, None, None, None)
    assert asked["verify"] == str(made / "client/ca.pem")
