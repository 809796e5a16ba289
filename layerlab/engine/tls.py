"""TLS to an engine, as the docker command has it: the files that a client needs, and why an engine and it don't fit."""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from docker import APIClient
from docker.tls import TLSConfig

from layerlab.errors import LabError
from layerlab.folders import called_from

VERIFY, FOLDER = "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"
#: What the files in that folder are called.
AUTHORITY, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"
#: Where engines answer over TLS, by custom (IANA, "docker-s").
PORT = 2376
#: What OpenSSL, Go and dockerd say, and what it means (OpenSSL, ssl/ssl_err.c; Go, crypto/tls).
_NOT_VOUCHED_FOR = re.compile("CERTIFICATE_VERIFY_FAILED")
_REFUSED = re.compile("_ALERT_")
_NO_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE")
_TLS_ONLY = re.compile("HTTP request to an HTTPS server")


def of(host: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that have docker reach an engine over TLS; none where the environment does not ask for it.

    A socket on this machine and a connection by ssh have no use for them.
    """
    if not environment.get(VERIFY) or urlsplit(host).scheme in ("unix", "npipe", "ssh"):
        return {}
    configured = environment.get("DOCKER_CONFIG") or Path.home() / ".docker"
    folder = called_from() / (environment.get(FOLDER) or configured)
    return {VERIFY: environment[VERIFY], FOLDER: str(folder)}


def config(variables: Mapping[str, str]) -> TLSConfig | None:
    """The same for the Docker SDK; None where the variables ask for no TLS.

    A client need have no certificate of its own: whether it must is for the engine to say.

    Raises:
        LabError: a file is missing, can't be read or is damaged, or a key and a certificate don't belong together.
    """
    if not variables.get(VERIFY):
        return None
    folder = Path(variables[FOLDER])
    own = [folder / CERTIFICATE, folder / KEY]
    own = own if any(path.exists() for path in own) else []
    for path in (folder / AUTHORITY, *own):
        try:
            path.read_bytes()
        except OSError as error:
            raise LabError(
                f"{path}: {error.strerror}: an engine is reached over TLS with {AUTHORITY}, {CERTIFICATE} "
                f"and {KEY}, in the folder that {FOLDER} or the docker context names"
            ) from error
    _check(folder, with_own=bool(own))
    return _OwnAuthority(
        client_cert=(str(own[0]), str(own[1])) if own else None,
        ca_cert=str(folder / AUTHORITY),
        verify=True,
    )


class _OwnAuthority(TLSConfig):
    """TLS by the engine's own authority, whatever else this machine trusts."""

    def configure_client(self, client: APIClient) -> None:
        super().configure_client(client)
        # REQUESTS_CA_BUNDLE, for what is on the internet, would go before it (requests, Session.send).
        client.trust_env = False


def _check(folder: Path, *, with_own: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(folder / AUTHORITY)
    except ssl.SSLError as error:
        raise LabError(
            f"{folder / AUTHORITY}: no certificate that can be read: get it anew"
        ) from error
    if not with_own:
        return
    try:
        # Docker takes no key with a password; without one, OpenSSL would ask for it on the terminal.
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY, password="")
    except ssl.SSLError as error:
        told = f"{CERTIFICATE} and {KEY} can't be read (a key with a password can't be used)"
        if error.reason == "KEY_VALUES_MISMATCH":
            told = f"{KEY} is not the key to {CERTIFICATE}"
        raise LabError(f"{folder}: {told}: get both from who runs the engine") from error


def mismatch(cause: str, variables: Mapping[str, str]) -> str | None:
    """Why an engine and its client don't fit, from what was said: the rest of a sentence that begins with the engine.

    None where TLS is not the reason.
    """
    if _TLS_ONLY.search(cause):
        return (
            f"speaks TLS only: set {VERIFY}=1, and {FOLDER} to the folder with {AUTHORITY}, "
            f"{CERTIFICATE} and {KEY}, or name a docker context that has them and verifies"
        )
    if not variables.get(VERIFY):
        return None
    folder = variables[FOLDER]
    if _NO_TLS.search(cause):
        return f"speaks no TLS at this port: name the one that does ({PORT} by custom), or unset {VERIFY}"
    if _NOT_VOUCHED_FOR.search(cause):
        return (
            f"shows a certificate that {folder}/{AUTHORITY} does not vouch for at this address: "
            "get the authority's certificate from who runs the engine, and use the name that its own is for"
        )
    if not _REFUSED.search(cause):
        return None
    shown = "takes no client without a certificate"
    if (Path(folder) / CERTIFICATE).exists():
        shown = "does not take this client's certificate"
    return (
        f"{shown}: get {CERTIFICATE} and {KEY} from who runs the engine, and put them into {folder}"
    )
