"""Resources that run out, and inputs that are huge: each works or ends with one clear sentence, in little memory.

File systems are small ones in memory with a size of their own; the machine's disk is never filled.
Nearly all of it takes long and runs only with `./lab test -m faults`.
"""

import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker.errors
import image_makers as make
import pytest

from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import HOME_LABEL, RUN_LABEL
from layerlab.engine.namespace import Link
from layerlab.engine.private import PrivateEngine, private_engine
from layerlab.engine.root import as_root, can_be_root

pytestmark = [pytest.mark.engine, pytest.mark.faults]
long = pytest.mark.faults("long")
#: What layerlab's own process may have at most.
MEGABYTES = 200
TINY = """\
# layerlab.labs: layer-cache image-size
# layerlab.expect.layer-cache.requirements-edit: nothing
FROM scratch
COPY main.py /
"""
CACHE = ("-k", "layer_cache", "--rounds", "1")
Tried = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Ended:
    """How a command of layerlab's ended."""

    code: int
    said: str
    #: The most memory that its own process had (VmHWM, proc(5)).
    megabytes: float
    seconds: float

    @property
    def row(self) -> str:
        """For the table: how it ended, and what it took."""
        told = "works" if self.code == 0 else f"exit {self.code}: {self.sentence}"
        return f"{told} ({self.seconds:.0f} s, {self.megabytes:.0f} MB)"

    @property
    def sentence(self) -> str:
        """The first that it said was wrong."""
        lines = self.said.splitlines()
        begins = [i for i, line in enumerate(lines) if re.match(r"_{3,} .* _{3,}$", line)]
        found = lines[begins[0] + 1] if begins else next(
            (line for line in lines if line.startswith(("layerlab: ", "ERROR: "))), lines[-1]
        )  # fmt: skip
        return found.removeprefix("layerlab: ").removeprefix("ERROR: ")[:160]


def layerlab(
    project: Path,
    *words: str | Path,
    first: tuple[str, ...] = (),
    limit: float = 600,
    **settings: str,
) -> Ended:
    """Run a command of layerlab's to its end, and look at its memory meanwhile."""
    environ = {**os.environ, "COLUMNS": "100", "PYTHONUNBUFFERED": "1", **settings}
    output = project / f"said-{time.monotonic_ns()}.txt"
    begun = time.monotonic()
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*first, sys.executable, "-m", "layerlab", *map(str, words)],
            cwd=project,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    peak, over = 0.0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not over.wait(0.05):
            with suppress(OSError, IndexError, ValueError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) / 1024)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        code = process.wait(limit)
    finally:
        process.send_signal(signal.SIGINT)  # of one that took too long
        over.set()
        thread.join()
    ended = Ended(code, output.read_text(errors="replace"), peak, time.monotonic() - begun)
    assert "Traceback" not in ended.said, ended.said
    assert "INTERNALERROR" not in ended.said, ended.said
    assert 0 < ended.megabytes < MEGABYTES
    return ended


def one_sentence(ended: Ended, pattern: str) -> None:
    """It ended with exit code 2, and said ``pattern`` as the one thing that was wrong."""
    assert ended.code == 2, ended.said
    assert re.search(pattern, ended.said), ended.said


@contextmanager
def small_disk(folder: Path, **options: str) -> Iterator[None]:
    """A file system of its own at a folder, in memory: ``size``, ``nr_inodes`` (tmpfs(5))."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ",".join(["mode=0700", f"uid={os.getuid()}", *(f"{k}={v}" for k, v in options.items())])
    subprocess.run(as_root(["mount", "-t", "tmpfs", "-o", words, "tmpfs", folder]), check=True)
    try:
        yield
    finally:
        subprocess.run(as_root(["umount", "-l", folder]), check=True)


@pytest.fixture
def tiny(project: Path) -> Path:
    (project / "tiny.Dockerfile").write_text(TINY)
    return project


@pytest.fixture(autouse=True)
def nothing_left(endpoint: Endpoint) -> Iterator[None]:
    if not endpoint.private or not can_be_root():
        pytest.skip("resources are taken from layerlab's own engine only")
    yield
    assert leftovers.remaining(endpoint) == []


@pytest.mark.parametrize(
    ("options", "how"),
    [
        pytest.param({"size": "192k"}, "192 kB", id="space"),
        pytest.param({"nr_inodes": "3"}, "3 inodes", id="inodes", marks=long),
    ],
)
def test_a_full_disk_under_the_record(
    tiny: Path, options: Mapping[str, str], how: str, tried: Tried
) -> None:
    with small_disk(tiny / ".layerlab", **options):
        done = layerlab(tiny, "run", *CACHE, "--variant", "tiny.Dockerfile")
    one_sentence(done, r"store\.sqlite can't be (written|used): (database or disk is full|.*)")
    tried("full disk under .layerlab", how, done.row)


@long
@pytest.mark.parametrize(
    ("options", "how"),
    [({"size": "16k"}, "16 kB"), ({"nr_inodes": "12"}, "12 inodes")],
    ids=["space", "inodes"],
)
def test_a_full_disk_under_our_cache(
    endpoint: Endpoint, tiny: Path, options: Mapping[str, str], how: str, tried: Tried
) -> None:
    cache = tiny / "cache"
    with small_disk(cache, **options):
        done = layerlab(
            tiny,
            *("run", "--engine", endpoint.host, *CACHE, "--variant", "tiny.Dockerfile"),
            XDG_CACHE_HOME=str(cache),
            PATH=f"{endpoint.client.docker.rpartition('/')[0]}:{os.environ['PATH']}",
            **endpoint.client.environ,
        )
    one_sentence(done, r"No space left on device")
    tried("full disk under the cache folder", how, done.row)


@pytest.fixture
def cramped(request: pytest.FixtureRequest, endpoint: Endpoint) -> Iterator[PrivateEngine]:
    """A private engine whose data are on a small file system."""
    folder = Path(f"/tmp/layerlab-cramped-{os.getpid()}")
    own = PrivateEngine(folder / "engine", private_engine().tools)
    with small_disk(own.folder / "data", **request.param):
        own.start(lambda _: None)
        yield own
        own.stop()
    own.remove()
    folder.rmdir()


@long
@pytest.mark.parametrize(
    ("cramped", "many", "how"),
    [
        ({"size": "300m"}, False, "300 MB, a file of 400 MB"),
        ({"nr_inodes": "3000", "size": "300m"}, True, "3,000 inodes, 5,000 files"),
    ],
    indirect=["cramped"],
    ids=["space", "inodes"],
)
def test_a_full_disk_of_the_engine(
    cramped: PrivateEngine, tiny: Path, many: bool, how: str, tried: Tried
) -> None:
    app = own_app(tiny)
    if many:
        numbered(app / "many", 5_000)
    else:
        with (app / "large").open("wb") as file:
            file.truncate(400 << 20)
    (tiny / "all.Dockerfile").write_text(TINY.replace("main.py /", ". /"))
    done = layerlab(
        tiny, "run", *CACHE, "--variant", "all.Dockerfile", **cramped.endpoint().environ()
    )
    one_sentence(done, r"all\.Dockerfile(:\d+)?: no space is left")
    assert leftovers.remaining(cramped.endpoint()) == []
    tried("full disk of the engine", how, done.row)


def own_app(project: Path) -> Path:
    """The project's app as a copy, to which files are added."""
    source = (project / "app").resolve()
    (project / "app").unlink()
    shutil.copytree(source, project / "app", ignore=shutil.ignore_patterns("__pycache__"))
    return project / "app"


def numbered(folder: Path, count: int) -> None:
    for number in range(count):
        if number % 1000 == 0:
            (folder / str(number // 1000)).mkdir(parents=True)
        (folder / str(number // 1000) / f"{number}.txt").write_text(str(number))


@contextmanager
def listening_everywhere(first: int, last: int) -> Iterator[int]:
    """All ports from ``first`` to ``last`` of this machine's loopback are taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as stack:
            taken = 0
            for port in range(first, last + 1):
                with suppress(OSError):
                    one = stack.enter_context(socket.socket())
                    one.bind(("127.0.0.1", port))
                    one.listen(1)
                    taken += 1
            yield taken
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@long
def test_no_free_port_in_the_engines_block(project: Path, slim: str, tried: Tried) -> None:
    own = private_engine()
    link = Link(**json.loads((own.folder / "link.json").read_text()))
    with listening_everywhere(*link.ports) as taken:
        done = layerlab(project, "run", "-k", "test_shutdown", "--variant", "production")
    one_sentence(done, "Something else listens on this port of the engine's machine")
    tried("no free port", f"{taken} of the engine's block taken", done.row)


@long
def test_no_spare_port(project: Path, slim: str, tmp_path: Path, tried: Tried) -> None:
    """In a network of its own, so that nobody else on this machine misses a port."""
    script = tmp_path / "taken.py"
    script.write_text(
        "import os, resource, socket, sys\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\n"
        "all_ = [socket.socket() for _ in range(10_000)]\n"
        "for port, one in enumerate(all_, 10_000):\n"
        "    one.bind(('127.0.0.1', port))\n"
        "print('taken', flush=True)\n"
        "sys.stdin.read()\n"
    )
    shell = 'ip link set lo up; sleep 600 | "$0" "$1" & sleep 2; shift; exec "$@"'
    first = as_root(["unshare", "--net", "sh", "-c", shell, sys.executable, str(script)])
    done = layerlab(
        project,
        *("run", "-k", "test_live_reload", "--variant", "development"),
        first=tuple(map(str, first)),
    )
    one_sentence(done, "no port from 10000 to 19999 of this machine can be listened on")
    tried("no free port", "10,000 of 10,000 taken", done.row)


@long
def test_no_network_is_left(endpoint: Endpoint, project: Path, slim: str, tried: Tried) -> None:
    made = []
    labels = {RUN_LABEL: "networks", HOME_LABEL: "0123456789ab"}
    with endpoint.connected() as client:
        try:
            with suppress(docker.errors.APIError):
                while len(made) < 1000:
                    made.append(client.networks.create(f"full-{len(made)}", labels=labels))
            done = layerlab(project, "run", "-k", "test_env_injection")
        finally:
            for network in made:
                network.remove()
    one_sentence(done, "given away all its address ranges")
    tried("address pool exhausted", f"{len(made)} networks", done.row)


@long
def test_200_variants(tiny: Path, tried: Tried) -> None:
    words = []
    for number in range(200):
        name = f"one-{number:03}.Dockerfile"
        (tiny / name).write_text(f"{TINY}LABEL number={number}\n")
        words += ["--variant", name]
    done = layerlab(tiny, "run", *CACHE, *words, limit=1200)
    assert done.code == 0, done.said
    assert re.search(r"^one-199 ", done.said, re.MULTILINE)
    assert max(map(len, done.said.splitlines())) <= 120
    tried("200 variants", "layer cache, 1 round", done.row)


def write_large(archive: Path, layers: int) -> None:
    """Save an image with a file of 1 GiB of zeros in each of its layers, packed: some megabytes."""
    packed, digests = [], []
    for number in range(layers):
        unpacked, packing = hashlib.sha256(), zlib.compressobj(1, wbits=31)
        parts = []
        for piece in make.zeros_layer(f"zeros-{number}", 1024):
            unpacked.update(piece)
            parts.append(packing.compress(piece))
        packed.append(b"".join([*parts, packing.flush()]))
        digests.append(f"sha256:{unpacked.hexdigest()}")
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": digests}}
    ).encode()
    listed = [{"digest": make.descriptor(one)["digest"], "size": len(one)} for one in packed]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": make.descriptor(config, mediaType=make.IMAGE_CONFIG),
            "layers": listed,
        }
    ).encode()
    archive.write_bytes(make.layout([*packed, config, manifest], [make.descriptor(manifest)]))


@long
def test_an_image_of_5_gb(tiny: Path, tmp_path: Path, tried: Tried) -> None:
    archive = tmp_path / "large.tar"
    write_large(archive, 5)
    done = layerlab(tiny, "image", archive)
    assert done.code == 0, done.said
    assert re.search(r"5,?368\.\d", done.said), done.said
    tried("an image of 5 GB", "a saved one, 5 layers", done.row)


@long
def test_a_build_that_prints_1_gb(tiny: Path, slim: str, tried: Tried) -> None:
    text = (
        "# layerlab.expect.layer-cache.requirements-edit: nothing\n"
        "FROM python:3.11-slim\n"
        "RUN yes this-is-a-line-of-output-of-fifty-bytes-or-about-so | head -c 1000000000\n"
        "COPY main.py /\n"
    )
    (tiny / "loud.Dockerfile").write_text(text)
    done = layerlab(tiny, "run", *CACHE, "--variant", "loud.Dockerfile")
    assert done.code == 0, done.said
    tried("a build that prints 1 GB", "", done.row)


@long
def test_a_context_of_100_000_files(tiny: Path, tried: Tried) -> None:
    numbered(own_app(tiny) / "many", 100_000)
    (tiny / "all.Dockerfile").write_text(TINY.replace("main.py /", ". /"))
    done = layerlab(
        tiny, "run", *CACHE, "--variant", "all.Dockerfile", "-k", "test_cold_build", limit=900
    )
    assert done.code == 0, done.said
    tried("a context of 100,000 files", "all copied into the image", done.row)


def copies(count: int) -> str:
    return "FROM scratch\n" + "".join(f"COPY main.py /{n}\n" for n in range(count))


@long
@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "64 stages",
            "".join(f"FROM scratch AS s{n}\nCOPY main.py /{n}\n" for n in range(63))
            + "FROM scratch\n"
            + "".join(f"COPY --from=s{n} /{n} /\n" for n in range(63)),
            None,
        ),
        ("126 layers", copies(126), None),
        ("130 layers", copies(130), "the image gets more layers than this engine"),
    ],
)
def test_a_dockerfile_of_many_steps(
    tiny: Path, name: str, text: str, sentence: str | None, tried: Tried
) -> None:
    (tiny / "many.Dockerfile").write_text(f"# layerlab.labs: layer-cache\n{text}")
    done = layerlab(
        tiny, "run", "-k", "test_cold_build", "--rounds", "1", "--variant", "many.Dockerfile"
    )
    if sentence:
        one_sentence(done, sentence)
    else:
        assert done.code == 0, done.said
        steps = text.count("COPY")
        assert re.search(rf"^many .* 0/{steps} .* {steps}/{steps} ", done.said, re.MULTILINE)
    tried("a long Dockerfile", name, done.row)
