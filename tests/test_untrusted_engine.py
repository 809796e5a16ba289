"""What an untrusted container may not, by an attempt at each; a trusted one shows that each is a real one."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from corpus_cases import SMALL

from layerlab.build.variant import Variant, load
from layerlab.engine import leftovers
from layerlab.engine.command import run
from layerlab.engine.confining import NOT_OURS, engine_of
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.limits import Profile
from layerlab.engine.namespace import Link
from layerlab.engine.root import as_root
from layerlab.errors import LabError
from layerlab.lab import Lab
from layerlab.opening import opened
from layerlab.run import container
from layerlab.run.container import NOTHING
from layerlab.settings import Settings
from layerlab.show.live import Screen

pytestmark = [pytest.mark.engine, pytest.mark.faults, pytest.mark.usefixtures("slim")]
HELLO = "hello"
#: Tries each thing, and serves what came of it. Whom it is to reach, it is asked.
ATTEMPTS = r"""
import ctypes, http.server, json, os, socket, subprocess, urllib.parse

def tried(what):
    try:
        return what() or "done"
    except BaseException as error:
        return type(error).__name__

def mount():
    if ctypes.CDLL(None, use_errno=True).mount(b"none", b"/mnt", b"tmpfs", 0, None):
        raise PermissionError

def raw():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()

def chown():
    open("/tmp/owned", "w").close()
    os.chown("/tmp/owned", 1234, 1234)

def another_user():
    return subprocess.run(["id", "-u"], capture_output=True, text=True, user=1000).stdout.strip()

def set_uid_program():
    return subprocess.run(["/srv/rise", "-u"], capture_output=True, text=True).stdout.strip()

def gateway():
    route = [line.split() for line in open("/proc/net/route")][1:]
    number = next(int(one[2], 16) for one in route if one[1] == "00000000")
    return socket.inet_ntoa(number.to_bytes(4, "little"))

def reach(address, port):
    with socket.create_connection((address or gateway(), port), 2) as there:
        try:
            return there.recv(5).decode()
        except TimeoutError:
            return "connected"

def answers(path):
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    found = {one.__name__: tried(one) for one in (mount, raw, chown, another_user, set_uid_program)}
    for line in open("/proc/self/status"):
        key, _, value = line.partition(":")
        if key in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp"):
            found[key] = int(value, 16)
    found["socket"] = any(map(os.path.exists, ("/var/run/docker.sock", "/run/docker.sock")))
    mounts = [line.split() for line in open("/proc/self/mountinfo")]
    found["of the host"] = [one[4] for one in mounts if one[one.index("-") + 1] in ("ext4", "xfs", "btrfs")]
    for target in asked.get("reach", ()):
        address, port = target.split(":")
        found[target] = tried(lambda: reach(address, int(port)))
    return found

class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answers(self.path)).encode())

http.server.ThreadingHTTPServer(("", 8000), Answering).serve_forever()
"""
#: Says hello on all addresses.
SERVER = """
import socket
here = socket.create_server(("", PORT))
while True:
    there, _ = here.accept()
    with there:
        there.sendall(b"hello")
"""
DOCKERFILE = """
FROM python:3.11-slim
COPY attempts.py /srv/
RUN cp /usr/bin/id /srv/rise && chmod 4755 /srv/rise
CMD ["python", "/srv/attempts.py"]
"""
REFUSED = "ConnectionRefusedError"


@contextmanager
def lab_with(
    endpoint: Endpoint, folder: Path, text: str, profile: Profile | None
) -> Iterator[tuple[Lab, Variant]]:
    """A lab that has one variant, and that is all there is of it afterwards."""
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "attempts.py").write_text(ATTEMPTS)
    path = folder / "student.Dockerfile"
    path.write_text(text.lstrip())
    variant = load(path)
    settings = Settings(folder, profile=profile, build_limit_seconds=60)
    with opened(endpoint, Screen(io.StringIO()), settings, [variant], {}) as lab:
        yield lab, variant
    assert leftovers.remaining(endpoint) == []


@contextmanager
def said_hello() -> Iterator[int]:
    """A server on all addresses of this machine, which is the outside of a private engine; its port."""
    with socket.create_server(("", 0)) as here:

        def serve() -> None:
            while True:
                try:
                    there, _ = here.accept()
                except OSError:
                    return
                with there:
                    there.sendall(HELLO.encode())

        threading.Thread(target=serve, daemon=True).start()
        yield int(here.getsockname()[1])
        here.shutdown(socket.SHUT_RDWR)


def reached(lab: Lab, variant: Variant, outside: str, slim: str) -> dict[str, Any]:
    """What came of the attempts in a container, beside another one and a server on the engine's machine."""
    image, program = lab.image(variant), SERVER.replace("PORT", "9123")
    words = [
        "run",
        "--detach",
        "--network",
        "host",
        *lab.run.label_words,
        slim,
        "python",
        "-c",
        program,
    ]
    host = lab.endpoint.run(*words, doing="starting a server").strip()
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    try:
        with (
            container.running(lab.endpoint, lab.run, image, NOTHING, purpose="other") as other,
            container.running(lab.endpoint, lab.run, image, NOTHING, purpose="this") as this,
        ):
            beside = lab.endpoint.run(
                "inspect", "--format", form, other.name, doing="looking"
            ).strip()
            targets = {"outside": outside, "gateway": ":9123", "other": f"{beside}:8000"}
            found: dict[str, Any] = this.get(
                "/?" + "&".join(f"reach={one}" for one in targets.values())
            )
            form = "{{json .HostConfig}}"
            config = lab.endpoint.run("inspect", "--format", form, this.name, doing="looking")
    finally:
        container.remove(lab.endpoint, host)
    return {
        **found,
        **{key: found[one] for key, one in targets.items()},
        "config": json.loads(config),
    }


def test_what_a_container_may_not(endpoint: Endpoint, slim: str, tmp_path: Path) -> None:
    if not endpoint.private:
        pytest.skip("whom a container reaches is limited on the private engine only")
    link = Link(**json.loads((engine_of(endpoint).folder / "link.json").read_text()))
    with said_hello() as port:
        outside = f"{link.gateway}:{port}"
        with lab_with(endpoint, tmp_path / "trusted", DOCKERFILE, None) as (lab, variant):
            free = reached(lab, variant, outside, slim)
        with lab_with(endpoint, tmp_path / "untrusted", DOCKERFILE, SMALL) as (lab, variant):
            held = reached(lab, variant, outside, slim)
    assert (free["outside"], free["gateway"], free["other"]) == (HELLO, HELLO, "connected")
    assert (held["outside"], held["gateway"]) == (REFUSED, REFUSED)
    assert held["other"] in (REFUSED, "TimeoutError", "OSError")
    assert (free["chown"], free["raw"], free["another_user"]) == ("done", "done", "1000")
    for attempt in ("mount", "raw", "chown"):
        assert held[attempt] == "PermissionError"
    assert held["another_user"] != "1000"
    assert free["CapEff"]
    assert held["CapEff"] == held["CapBnd"] == 0
    assert (held["NoNewPrivs"], held["Seccomp"]) == (1, 2)
    assert held["socket"] is False
    assert set(held["of the host"]) <= {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}
    config = held["config"]
    assert config["Memory"] == config["MemorySwap"] == SMALL.container.memory_bytes
    assert config["PidsLimit"] == SMALL.container.processes
    assert config["Binds"] is None


def test_a_program_of_root_s_gives_nobody_its_rights(endpoint: Endpoint, tmp_path: Path) -> None:
    text = f"{DOCKERFILE}USER 1000\n"
    found = []
    for name, profile in (("trusted", None), ("untrusted", SMALL)):
        with (
            lab_with(endpoint, tmp_path / name, text, profile) as (lab, variant),
            container.running(
                endpoint, lab.run, lab.image(variant), NOTHING, purpose="rise"
            ) as app,
        ):
            found.append(app.get("/")["set_uid_program"])
    assert found == ["0", "1000"]


def test_a_cache_mount_is_of_one_run(endpoint: Endpoint, tmp_path: Path) -> None:
    """Else a student's build would put packages into all later ones."""
    mark = f"/cache-of-layerlab-{tmp_path.name}-{time.time_ns()}"
    mount = f"RUN --mount=type=cache,target={mark}"
    puts = f"FROM python:3.11-slim\n{mount} touch {mark}/evil\n"
    looks = f"FROM python:3.11-slim\n{mount} test -e {mark}/evil\n"
    for name, profile in (("trusted", None), ("untrusted", SMALL)):
        with lab_with(endpoint, tmp_path / f"{name}-1", puts, profile) as (lab, variant):
            lab.image(variant)
        with lab_with(endpoint, tmp_path / f"{name}-2", looks, profile) as (lab, variant):
            if profile is None:
                lab.image(variant)
                continue
            with pytest.raises(LabError, match="failed with exit code 1"):
                lab.image(variant)


def test_an_engine_that_is_not_ours(endpoint: Endpoint, tmp_path: Path) -> None:
    """What can be limited there is, and of the rest the run says that it is not."""
    theirs = replace(endpoint, private=False)
    with lab_with(theirs, tmp_path / "theirs", DOCKERFILE, SMALL) as (lab, variant):
        assert NOT_OURS in lab.notes
        with container.running(theirs, lab.run, lab.image(variant), NOTHING, purpose="x") as app:
            held = app.get("/")
    assert held["CapEff"] == held["CapBnd"] == 0
    assert held["NoNewPrivs"] == 1


def test_a_log_takes_no_more_than_its_files(endpoint: Endpoint, tmp_path: Path) -> None:
    if not endpoint.private:
        pytest.skip("another engine's files are not ours to look at")
    text = """FROM python:3.11-slim\nCMD ["python", "-c", "while True: print('x' * 900)"]\n"""
    with (
        lab_with(endpoint, tmp_path / "flood", text, SMALL) as (lab, variant),
        container.started(
            endpoint, lab.run, lab.image(variant), purpose="flood", environment=NOTHING
        ) as name,
    ):
        form = "{{.Id}}"
        identity = endpoint.run("inspect", "--format", form, name, doing="looking").strip()
        folder = engine_of(endpoint).folder / "data/containers" / identity
        time.sleep(4)
        said = as_root(["du", "--summarize", "--bytes", folder])
        assert 5_000_000 < int(run(said, doing="looking").split()[0]) < 11_000_000


def test_as_an_instructor_runs_it(
    lab_run: Callable[..., CompletedProcess[str]], endpoint: Endpoint, tmp_path: Path
) -> None:
    texts = {
        "insecure": "RUN --security=insecure id",
        "loop": "RUN while :; do :; done",
        "escape": 'CMD ["python", "-c", "print(\'\\u001b[2J\'); exit(3)"]',
    }
    words: list[str | Path] = ["--untrusted", "-k", "shutdown", "--build-limit", "3"]
    for name, text in texts.items():
        path = tmp_path / f"{name}.Dockerfile"
        path.write_text(f"FROM python:3.11-slim\n{text}\n")
        words += ["--variant", path]
    done = lab_run(*words)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "insecure.Dockerfile:2: `RUN --security=insecure` asks for rights" in said
    assert "loop.Dockerfile:2: [2/2] RUN while :; do :; done: the build was stopped at its" in said
    assert "escape.Dockerfile:2: the app ended before it answered (exit code 3)" in said
    assert "\x1b[2J" not in said
    assert "Traceback" not in said
    assert leftovers.remaining(endpoint) == []
