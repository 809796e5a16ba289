"""The private engine: it starts from nothing, comes back from the dead, and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint, probe
from layerlab.engine.private import PrivateEngine, lacking

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(lacking() is not None, reason=f"no private engine here: {lacking()}"),
]


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, endpoint: Endpoint) -> Iterator[PrivateEngine]:
    """A second private engine beside the session's, with programs that are unpacked already."""
    # pytest's own folders are too deep for a socket's path.
    folder = Path(f"/tmp/layerlab-test-{os.getpid()}")
    folder.mkdir(mode=0o700)
    engine = PrivateEngine(folder / "engine")
    yield engine
    engine.remove()
    folder.rmdir()


def links() -> str:
    return Path("/proc/net/dev").read_text()


def test_it_starts_from_nothing_beside_another(own: PrivateEngine) -> None:
    endpoint = probe(own.start(quiet))
    assert endpoint.can.engine
    assert endpoint.can.compose
    assert (own.socket.stat().st_mode & 0o777) == 0o600
    assert own.folder.stat().st_mode & 0o077 == 0


def test_nothing_of_it_listens_on_the_network(own: PrivateEngine) -> None:
    own.start(quiet)
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    assert "dockerd" not in listening
    assert "containerd" not in listening


@pytest.mark.parametrize("victim", ["holder", "dockerd", "containerd"])
def test_it_comes_back_when_a_part_was_killed(own: PrivateEngine, victim: str) -> None:
    own.start(quiet)
    if victim == "holder":
        pid = own.process()
        assert pid
        os.kill(pid, signal.SIGKILL)
    else:
        config = own.folder / "exec/containerd" if victim == "containerd" else own.folder
        subprocess.run(["pkill", "-KILL", "-f", f"{victim} --config.*{config}"], check=True)
    time.sleep(0.3)
    endpoint = own.start(quiet)
    client = endpoint.connect()
    assert client.info()["ServerVersion"]
    client.close()
    assert own.answers()


def test_a_stale_pid_file_is_no_engine(own: PrivateEngine) -> None:
    own.stop()
    (own.folder / "pid").write_text("1")
    (own.folder / "docker.pid").write_text("7")
    assert own.process() is None
    own.start(quiet)
    assert own.answers()


def test_two_starts_at_once_give_one_engine(own: PrivateEngine) -> None:
    own.stop()
    threads = [threading.Thread(target=own.start, args=(quiet,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert own.answers()
    holders = subprocess.run(
        ["pgrep", "-fc", f"unshare.*{own.folder}"], capture_output=True, text=True, check=False
    )
    assert holders.stdout.strip() == "1"


def test_engines_that_start_at_once_get_links_of_their_own(own: PrivateEngine) -> None:
    own.start(quiet)
    places = [own.folder.with_name(name) for name in ("second", "third")]
    engines = [PrivateEngine(place, own.tools) for place in places]
    threads = [threading.Thread(target=engine.start, args=(quiet,)) for engine in engines]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(engine.running for engine in (own, *engines))
        found = [json.loads((e.folder / "link.json").read_text()) for e in (own, *engines)]
        assert len({link["name"] for link in found}) == 3
        assert len({link["network"] for link in found}) == 3
    finally:
        for engine in engines:
            engine.remove()
    assert own.running


def test_stopping_leaves_nothing_on_the_host(own: PrivateEngine) -> None:
    own.start(quiet)
    link = (own.folder / "link.json").read_text().split('"name": "')[1].split('"')[0]
    assert link in links()
    own.stop()
    assert link not in links()
    assert str(own.folder) not in Path("/proc/mounts").read_text()
    rules = subprocess.run(
        [own.tools.programs / "iptables-save"], capture_output=True, text=True, check=False
    )
    assert link not in rules.stdout
    assert not own.socket.exists()


def test_published_ports_answer_on_loopback_only(endpoint: Endpoint, slim: str) -> None:
    """As with any engine on this machine, `-p 8000:8000` is http://localhost:8000."""
    if not endpoint.private:
        pytest.skip("another engine's ports are its own matter")
    client = endpoint.connect()
    served = client.containers.run(
        slim,
        ["python", "-m", "http.server", "80"],
        detach=True,
        ports={"80/tcp": None},
        labels={leftovers.RUN_LABEL: "ports", leftovers.HOME_LABEL: leftovers.home()},
    )
    try:
        served.reload()
        port = int(served.ports["80/tcp"][0]["HostPort"])
        deadline = time.monotonic() + 10
        while True:
            try:
                status = httpx.get(f"http://127.0.0.1:{port}/").status_code
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert status == 200
        listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True)
        own_lines = [line for line in listening.stdout.splitlines() if f":{port} " in line]
        assert own_lines
        assert all(f"127.0.0.1:{port}" in line for line in own_lines)
    finally:
        served.remove(force=True)
        client.close()


def test_the_shell_environment_reaches_it() -> None:
    """`eval "$(./lab engine env)"` gives a shell in which plain docker works."""
    script = f'eval "$({sys.executable} -m layerlab engine env)"; docker version --format "{{{{.Server.Version}}}}"; docker compose version; docker buildx version'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
