"""An engine of another machine, as far as one machine has it: in a network of its own, over TCP with TLS."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_security_engine import answers, neighbour

from layerlab.engine import certificates, leftovers, matrix
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.matrix import MATRIX
from layerlab.engine.namespace import Link
from layerlab.engine.private import PrivateEngine
from layerlab.run.diagnosis import listening
from layerlab.run.readers import COMPOSE_SECRET, SWARM_SECRET
from layerlab.run.reload import MOUNTED

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(matrix.lacking() is not None, reason=f"not here: {matrix.lacking()}"),
]
(REMOTE,) = (release for release in MATRIX if release.remote)
PORT = 2376
AsUser = Callable[..., subprocess.CompletedProcess[str]]
#: A variant of a student's, with a check that needs no long wait.
ABROAD = """\
# layerlab.expect.layer-cache.unrelated-edit: copy
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
HEALTHCHECK --interval=1s --retries=1 CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
"""


@pytest.fixture(scope="module")
def remote() -> Iterator[Endpoint]:
    """The remote engine, as its user reaches it."""
    with matrix.running(REMOTE, lambda _: None) as running:
        yield running
    own = REMOTE.engine()
    assert not own.tls_folder.exists()
    assert own.link() is None


@pytest.fixture
def own(remote: Endpoint) -> PrivateEngine:
    """The same engine, as who runs it has it."""
    return REMOTE.engine()


@pytest.fixture
def link(own: PrivateEngine) -> Link:
    found = own.link()
    assert found is not None
    return found


@pytest.fixture
def as_user(project: Path, tmp_path: Path) -> AsUser:
    """Runs layerlab as its user does, who has configured nothing."""

    def run_it(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("DOCKER_")}
        configuration = {"DOCKER_CONFIG": str(tmp_path), "COLUMNS": "100"}
        return subprocess.run(
            [sys.executable, "-m", "layerlab", *map(str, words)],
            cwd=project,
            env={**kept, **configuration, **settings},
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )

    return run_it


def variables(remote: Endpoint) -> dict[str, str]:
    """What its user sets in a shell."""
    return {"DOCKER_HOST": remote.host, **remote.extra}


def nothing_left(remote: Endpoint) -> bool:
    """Whether all that is on it are base images and the networks that every engine has."""
    assert leftovers.remaining(remote) == []
    with remote.connected() as client:
        assert client.containers.list(all=True) == []
        assert client.volumes.list() == []
        assert {network.name for network in client.networks.list()} == {"bridge", "host", "none"}
    return True


def test_it_is_another_machine_s(remote: Endpoint, link: Link) -> None:
    assert remote.host == f"tcp://{link.address}:{PORT}"
    assert (remote.remote, remote.near, remote.private) == (True, False, False)
    assert remote.address == link.address


@pytest.mark.skipif(os.geteuid() != 0, reason="looks at other networks: root")
def test_it_answers_on_its_own_address_alone(own: PrivateEngine, link: Link) -> None:
    def addresses(pid: int | str | None) -> set[str]:
        tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
        found = [one for table in tables for one in listening(table)]
        return {one.address for one in found if one.port == PORT}

    assert addresses(own.process()) == {link.address}
    assert addresses("self") == set()
    assert answers(link.address, PORT)
    with neighbour(own) as (here, reaches):
        for address in (here, link.gateway, link.address):
            assert not reaches(address, PORT)


def test_its_keys_are_closed_to_others(own: PrivateEngine) -> None:
    keys = sorted(own.tls_folder.rglob("key.pem"))
    assert [key.parent.name for key in keys] == ["client", "server"]
    assert [key.stat().st_mode & 0o777 for key in keys] == [0o600, 0o600]


def without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def from_another(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        certificates.make(folder / "another", "198.18.0.2")
        for name in names:
            shutil.copy(folder / "another/client" / name, folder / name)

    return change


def damaged(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text("no certificate")

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without("cert.pem", "key.pem"), "takes no client without a certificate: get cert.pem"),
        (from_another("cert.pem", "key.pem"), "does not take this client's certificate: get"),
        (from_another("ca.pem"), "/ca.pem does not vouch for at this address: get the authority's"),
        (from_another("key.pem"), "key.pem is not the key to cert.pem"),
        (without("ca.pem"), "/ca.pem: No such file or directory: an engine is reached over TLS"),
        (without("key.pem"), "/key.pem: No such file or directory: an engine is reached over TLS"),
        (damaged("cert.pem"), "cert.pem and key.pem can't be read"),
        (damaged("ca.pem"), "/ca.pem: no certificate that can be read"),
    ],
    ids=[
        "no certificate",
        "another's certificate",
        "another's authority",
        "another's key",
        "no authority",
        "no key",
        "damaged certificate",
        "damaged authority",
    ],
)
def test_who_has_not_its_certificate_is_refused(
    remote: Endpoint, as_user: AsUser, tmp_path: Path, change: Callable[[Path], None], sentence: str
) -> None:
    folder = tmp_path / "certificates"
    shutil.copytree(remote.extra["DOCKER_CERT_PATH"], folder)
    change(folder)
    done = as_user("run", **{**variables(remote), "DOCKER_CERT_PATH": str(folder)})
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stdout


def test_who_asks_without_tls_is_told(remote: Endpoint, as_user: AsUser) -> None:
    done = as_user("run", "--engine", remote.host)
    assert done.returncode == 2
    assert f"the engine at {remote.host} (from --engine) speaks TLS only: set" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.matrix  # it builds the bases there, too
def test_builds_and_runs_there(remote: Endpoint, as_user: AsUser, tmp_path: Path) -> None:
    dockerfile = tmp_path / "abroad.Dockerfile"
    dockerfile.write_text(ABROAD)
    some = "abroad and (layer_cache or healthcheck or shutdown or image_size) or env_injection"
    words = ("--standins", "--rounds", "1", "--variant", dockerfile, "--variant", "production")
    done = as_user("run", *words, "-k", some, **variables(remote))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "remote (DOCKER_HOST)" in done.stdout
    assert nothing_left(remote)


@pytest.mark.matrix  # as above
def test_a_context_names_it(remote: Endpoint, as_user: AsUser, tmp_path: Path) -> None:
    folder = remote.extra["DOCKER_CERT_PATH"]
    files = ",".join(f"{name}={folder}/{name}.pem" for name in ("ca", "cert", "key"))
    words = ["context", "create", "abroad", "--docker", f"host={remote.host},{files}"]
    subprocess.run(
        remote.command(*words),
        env={**os.environ, "DOCKER_CONFIG": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    words = ["--engine", "abroad", "--standins", "--variant", "cache-ordered"]
    done = as_user("run", *words, "-k", "image_size")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "remote (docker context 'abroad')" in " ".join(done.stdout.split())
    assert nothing_left(remote)


@pytest.mark.matrix
def test_a_whole_run_passes(remote: Endpoint, as_user: AsUser) -> None:
    done = as_user("run", "--standins", "--rounds", "1", **variables(remote))
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    ways = [way.name for way in (*MOUNTED, COMPOSE_SECRET, SWARM_SECRET)]
    for lacking in ("the stack", "the registry lab", *ways):
        assert f"{lacking} is not available: " in said
    assert nothing_left(remote)
