"""`bench` on a real engine, as a user runs it: small projects, each with a few Dockerfiles."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from beside import rows, wait_for

from layerlab.build import ignore, snapshot
from layerlab.build.buildx import going_on
from layerlab.build.variant import load
from layerlab.engine import leftovers
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.process import comes_true
from layerlab.record.rows import Sample
from layerlab.record.store import Store

pytestmark = pytest.mark.engine

SERVER = """\
import http.server, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/up" else 404)
        self.end_headers()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.HTTPServer(("0.0.0.0", 5000), Handler).serve_forever()
"""
OLD = """\
FROM SLIM
WORKDIR /app
COPY . .
RUN sleep 0.3 && cp requirements.txt /installed
CMD ["python", "serve.py"]
"""
NEW = """\
FROM SLIM
WORKDIR /app
COPY requirements.txt .
RUN sleep 0.3 && cp requirements.txt /installed
COPY . .
CMD ["python", "serve.py"]
"""
Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Where the caller is, with a project in it."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "serve.py").write_text(SERVER)
    (tmp_path / "project" / "requirements.txt").write_text("six\n")
    return tmp_path


@pytest.fixture
def write(here: Path, slim: str) -> Callable[..., None]:
    """Writes Dockerfiles; SLIM stands for the base."""

    def write_them(**texts: str) -> None:
        for name, text in texts.items():
            (here / f"{name}.Dockerfile").write_text(text.replace("SLIM", slim))

    return write_them


def environment(endpoint: Endpoint, here: Path) -> dict[str, str]:
    own = {"COLUMNS": "80", "LAYERLAB_CALLED_FROM": str(here)}
    return {**os.environ, **endpoint.environ(), **own}


@pytest.fixture
def bench(endpoint: Endpoint, here: Path) -> Bench:
    """Runs `layerlab bench`, and sees to it that nothing is left and the project is as it was."""

    def run_it(*words: str) -> subprocess.CompletedProcess[str]:
        before = state(here / "project")
        done = subprocess.run(
            [sys.executable, "-m", "layerlab", "bench", *words],
            cwd=here,
            env=environment(endpoint, here),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert state(here / "project") == before
        assert leftovers.remaining(endpoint) == []
        assert "Traceback" not in done.stderr
        return done

    return run_it


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_mode) for p in folder.rglob("*")}


def samples(here: Path) -> list[Sample]:
    """All samples of the last run."""
    with Store(here / ".layerlab" / "store.sqlite") as store:
        return store.samples(store.runs()[-1].id)


def row(shown: str, title: str) -> list[str]:
    return next(line for line in shown.splitlines() if line.startswith(title))[27:].split()


def test_two_dockerfiles_of_a_service(here: Path, write: Callable[..., None], bench: Bench) -> None:
    write(old=OLD, new=NEW)
    done = bench(
        *("-f", "old.Dockerfile", "-f", "new.Dockerfile", "--rounds", "2"),
        *("--serve", "5000", "--health", "/up", "--markdown", "out.md"),
        *("--fail-if", "image.layers larger", "--fail-if", "steps.source-edit larger", "project"),
    )
    shown = done.stdout
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("layerlab: failed: ") == 1
    assert "image.layers larger: new.Dockerfile" in done.stderr
    assert max(map(len, shown.splitlines())) <= 80
    assert "Source edit: serve.py (CMD starts it;" in shown
    assert row(shown, "steps of a cold build") == ["2", "3", "1.50", "-", "larger"]
    assert row(shown, "steps run, source edit") == ["2", "1", "0.50", "-", "smaller"]
    assert row(shown, "start to first answer")[1] == "s"
    assert row(shown, "docker stop")[1] == "s"
    assert "| image, layers" in (here / "out.md").read_text()
    kept = samples(here)
    assert {one.round for one in kept} == {0, 1, 2}
    walls = [one for one in kept if one.metric == "wall" and one.scenario == "cold"]
    # The baseline has a second turn in each round, and the order is another one.
    assert sorted((one.round, one.variant) for one in walls) == [
        (number, name)
        for number in (1, 2)
        for name in ("new.Dockerfile", "old.Dockerfile", "old.Dockerfile")
    ]
    assert [one.position for one in walls] == [1, 2, 3] * 2
    assert sum(one.control for one in walls) == 2
    assert len({one.context for one in kept}) == 1
    assert kept[0].context


def test_a_copy_under_another_name_is_the_same_image(
    write: Callable[..., None], bench: Bench
) -> None:
    write(one=NEW, two=NEW)
    done = bench("-f", "one.Dockerfile", "-f", "two.Dockerfile", "--rounds", "1", "project")
    assert done.returncode == 0, done.stderr
    for title in ("image, unpacked", "image, files", "image, compressed", "image, layers"):
        assert row(done.stdout, title)[-2:] == ["the", "same"]
    for title in ("steps of a cold build", "steps run, source edit"):
        assert row(done.stdout, title)[-2:] == ["the", "same"]


def test_a_dockerfile_with_a_mistake_is_told_and_the_others_go_on(
    write: Callable[..., None], bench: Bench
) -> None:
    write(old=OLD, bad="FROM SLIM\nCOPPY . .\n", copy=OLD)
    files = ("-f", "old.Dockerfile", "-f", "bad.Dockerfile", "-f", "copy.Dockerfile")
    done = bench(*files, "--rounds", "1", "project")
    assert done.returncode == 2
    assert "layerlab: bad.Dockerfile:2: unknown instruction: COPPY" in done.stderr
    assert "copy.Dockerfile beside old.Dockerfile, 1 round" in done.stdout
    assert "bad.Dockerfile could not be measured." in done.stdout


def test_a_turn_that_fails_is_void_and_shown(
    here: Path, write: Callable[..., None], bench: Bench
) -> None:
    failing = OLD.replace("sleep 0.3", "! grep -q layerlab serve.py")
    write(old=OLD, new=failing)
    done = bench("-f", "old.Dockerfile", "-f", "new.Dockerfile", "--rounds", "3", "project")
    assert done.returncode == 2
    assert row(done.stdout, "cold build")[-2:] == ["not", "measured"]
    assert "failed with exit code 1" in done.stdout
    failed = [one for one in samples(here) if one.value is None]
    # Whoever fails in two rounds is not asked again.
    assert {(one.variant, one.round) for one in failed} == {
        ("new.Dockerfile", 1),
        ("new.Dockerfile", 2),
    }
    assert all(one.invalid and one.scenario for one in failed)


def test_a_project_of_another_language(
    here: Path, write: Callable[..., None], bench: Bench
) -> None:
    project = here / "project"
    for name in ("serve.py", "requirements.txt"):
        (project / name).unlink()
    (project / "package.json").write_text('{"name": "x"}\n')
    (project / "server.js").write_text("run()\n")
    (project / "node_modules").mkdir()
    (project / ".dockerignore").write_text("node_modules\n")
    text = """\
        FROM SLIM
        WORKDIR /app
        {first}
        RUN python3 -m json.tool package.json > /installed
        {then}
        RUN ! ls /app/node_modules 2> /dev/null
        CMD ["node", "server.js"]
        """
    write(
        old=text.format(first="COPY . .", then=""),
        new=text.format(first="COPY package*.json ./", then="COPY . ."),
    )
    done = bench("-f", "old.Dockerfile", "-f", "new.Dockerfile", "--rounds", "1", "project")
    assert done.returncode == 0, done.stderr
    assert "Source edit: server.js" in done.stdout
    assert "Dependencies edit: package.json" in done.stdout
    assert row(done.stdout, "steps run, source edit")[:2] == ["3", "2"]


def test_values_of_arguments_and_secrets_are_nowhere(
    here: Path, write: Callable[..., None], bench: Bench
) -> None:
    (here / "token").write_text("0f-the-secret\n")
    text = (
        "FROM SLIM\nARG PASSWORD\nCOPY . .\n"
        "RUN --mount=type=secret,id=t cat /run/secrets/t; echo $PASSWORD\n"
    )
    write(old=text, new=text, bad=text.replace("echo $PASSWORD", "echo $PASSWORD; exit 9"))
    done = bench(
        *("-f", "old.Dockerfile", "-f", "new.Dockerfile", "-f", "bad.Dockerfile", "--steps"),
        *("--build-arg", "PASSWORD=0f-the-argument", "--secret", "id=t,src=token"),
        *("--rounds", "1", "project"),
    )
    assert done.returncode == 2
    assert "failed with exit code 9" in done.stderr
    for file in (here / ".layerlab").iterdir():
        assert b"0f-the" not in file.read_bytes()
    assert "0f-the" not in done.stdout + done.stderr


@contextmanager
def begun(here: Path, endpoint: Endpoint, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A bench of 50 rounds on its way."""
    files = ("-f", "old.Dockerfile", "-f", "new.Dockerfile")
    process = subprocess.Popen(
        [sys.executable, "-m", "layerlab", "bench", *files, "--rounds", "50", *words, "project"],
        cwd=here,
        env=environment(endpoint, here),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_ctrl_c_leaves_nothing(here: Path, write: Callable[..., None], endpoint: Endpoint) -> None:
    write(old=OLD, new=NEW)
    with begun(here, endpoint) as process:
        wait_for(process, lambda: leftovers.remaining(endpoint))
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert leftovers.remaining(endpoint) == []
    with Store(here / ".layerlab" / "store.sqlite") as store:
        assert [(one.kind, one.ending) for one in store.runs()] == [("bench", "interrupted")]


def test_ctrl_c_shows_what_was_measured(
    here: Path, write: Callable[..., None], endpoint: Endpoint
) -> None:
    write(old=OLD, new=NEW)
    files = ("--markdown", "out.md", "--html", "out.html", "--json", "out.json")
    with begun(here, endpoint, *files) as process:
        wait_for(process, lambda: rows(here, "SELECT 1 FROM sample WHERE round = 3"))
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert row(said, "image, layers")[-1] == "larger"
    assert row(said, "cold build")[-1] != "measured"
    rounds = int(re.search(r"Interrupted after (\d+) rounds", said)[1])
    assert f"beside old.Dockerfile, {rounds} rounds" in said
    # What had been measured of the next round is no pair.
    kept = samples(here)
    assert {one.round for one in kept if one.invalid is None} == {*range(rounds + 1)}
    assert all(one.invalid for one in kept if one.round > rounds)
    assert said.endswith("layerlab: interrupted\n")
    assert "| image, layers" in (here / "out.md").read_text()
    assert f"2 variants, {rounds} rounds, Docker Engine" in (here / "out.html").read_text()
    assert json.loads((here / "out.json").read_text())["run"]["state"] == "interrupted"
    assert leftovers.remaining(endpoint) == []


def test_builds_of_others_are_seen(here: Path, endpoint: Endpoint, slim: str) -> None:
    (here / "Dockerfile").write_text(f"FROM {slim}\nRUN sleep 60 # {time.time()}\n")
    words = endpoint.command("buildx", "build", "--progress", "plain", str(here))
    before = going_on(endpoint)
    with subprocess.Popen(
        words, env=endpoint.environ(), stderr=subprocess.DEVNULL, text=True
    ) as process:
        wait_for(process, lambda: going_on(endpoint) == before + 1)
        process.send_signal(signal.SIGINT)
    assert comes_true(lambda: going_on(endpoint) == before, 10)


@pytest.mark.parametrize(
    "rules",
    [
        "**/*.pyc\ndocs\n!docs/keep\n",
        "*\n!src\n!docs/**/*.md\nsrc/*.pyc\n",
        "docs/*\n!docs/keep/\n**/a.py\n.hidden\n",
        "**\n!**/*.md\n",
        "src/[ab].py\n?ain.py\n",
        "docs/**\n!docs/keep/this.md\n",
    ],
)
def test_the_engine_sees_what_the_snapshot_says(
    rules: str, endpoint: Endpoint, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    names = "main.py src/a.py src/b.py src/c.pyc docs/a.md docs/keep/this.md docs/keep/a.py .hidden"
    for name in names.split():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("")
    (project / ".dockerignore").write_text(rules)
    dockerfile = tmp_path / "all.Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\n")
    words = ("buildx", "build", "--output", f"type=local,dest={tmp_path / 'seen'}")
    endpoint.run(*words, "--file", dockerfile, project, doing="docker build")
    seen = {p.relative_to(tmp_path / "seen").as_posix() for p in (tmp_path / "seen").rglob("*")}
    seen = {one for one in seen if (project / one).is_file()}
    tree = snapshot.look(project, [ignore.read(load(dockerfile), project)])
    assert tree.common == seen - {ignore.NAME} | (tree.common & {ignore.NAME})
    assert (ignore.NAME in seen) == (ignore.NAME in tree.common)
