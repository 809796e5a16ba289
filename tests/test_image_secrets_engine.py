"""Secrets in images that an engine built: where each way of handing one over leaves it."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.image.export import from_engine
from layerlab.image.memory import Memory
from layerlab.image.needles import MASK, Needles, read_values
from layerlab.image.secrets import Finding, Search

pytestmark = pytest.mark.engine
WAYS = ("env", "arg", "copied", "removed", "encoded", "mounted")
DOCKERFILE = """\
FROM SLIM
ENV TOKEN={env}
ARG ARGUMENT={arg}
RUN test -n $ARGUMENT
COPY copied /app/
COPY removed /app/.env
RUN rm /app/.env
COPY encoded /tmp/
RUN base64 -w0 /tmp/encoded > /b && rm /tmp/encoded
RUN --mount=type=secret,id=mounted test -s /run/secrets/mounted
"""


@pytest.fixture
def canary() -> str:
    """A secret that is in no image yet."""
    return f"canary-{uuid.uuid4()}"


@pytest.fixture
def built(endpoint: Endpoint, run: Run, tmp_path: Path) -> Callable[..., str]:
    """Builds a Dockerfile in the test's folder; returns the image's name."""

    def build_it(text: str, *words: str) -> str:
        (tmp_path / "Dockerfile").write_text(text)
        reference = f"layerlab/secrets:{run.id}"
        labels = [f"--label={key}={value}" for key, value in run.labels.items()]
        command = ["buildx", "build", "--load", *labels, *words, "-t", reference, tmp_path]
        endpoint.run(*command, doing="building")
        return reference

    return build_it


@pytest.fixture
def command(endpoint: Endpoint) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``layerlab secrets`` as a user does."""

    def run_it(word: str, value: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "layerlab", "secrets", word, "-"],
            env={**os.environ, **endpoint.environ(), "COLUMNS": "80"},
            input=f"{value}\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run_it


def test_where_each_way_leaves_a_secret(
    endpoint: Endpoint, slim: str, tmp_path: Path, built: Callable[..., str]
) -> None:
    canaries = {way: f"canary-{uuid.uuid4()}" for way in WAYS}
    for way, canary in canaries.items():
        (tmp_path / way).write_text(f"{way}={canary}\n")
    text = DOCKERFILE.replace("SLIM", slim).format(**canaries)
    reference = built(text, f"--secret=id=mounted,src={tmp_path / 'mounted'}")
    search = Search(Needles(read_values("\n".join(canaries.values()).encode())))
    image = from_engine(endpoint, reference, Memory(), compress=False, watch=search)
    searched = search.searched([image])
    assert not any(canary in repr(searched) for canary in canaries.values())
    assert searched.bytes == image.totals.unpacked_bytes
    by_way: dict[str, list[Finding]] = {way: [] for way in WAYS}
    for finding in searched.findings:
        by_way[WAYS[finding.needle.number - 1]].append(finding)
    places = {way: {one.place for one in found} for way, found in by_way.items()}
    assert places == {
        "env": {"configuration", "history"},
        "arg": {"history"},
        "copied": {"layer"},
        "removed": {"layer"},
        "encoded": {"layer"},
        "mounted": set(),
    }
    [variable] = [one for one in by_way["env"] if one.place == "configuration"]
    assert variable.where.endswith("(TOKEN)")
    told = {one.instruction for one in by_way["arg"]}
    assert {f"ARG ARGUMENT={MASK}", "RUN test -n $ARGUMENT", "RUN rm /app/.env"} <= told
    [copied] = by_way["copied"]
    assert (copied.where, copied.hidden_by) == ("app/copied", 0)
    [removed] = by_way["removed"]
    assert (removed.where, removed.hidden_by) == ("app/.env", removed.layer + 1)
    assert removed.instruction == "COPY removed /app/.env"
    assert removed.hidden_by_instruction == "RUN rm /app/.env"
    encoded = {one.where: (one.form, bool(one.hidden_by)) for one in by_way["encoded"]}
    assert encoded == {"tmp/encoded": ("as is", True), "b": ("base64", False)}


def test_the_command_on_an_image_that_the_engine_cannot_save(
    canary: str,
    built: Callable[..., str],
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    reference = built(f'FROM scratch\nENV A={canary}\nCMD ["x"]\n')
    found = command(reference, canary)
    assert found.returncode == 1, found.stderr
    assert "(A): value 1" in found.stdout
    assert f"`ENV A={MASK}`" in found.stdout
    assert canary not in found.stdout + found.stderr
    assert max(map(len, found.stdout.splitlines())) <= 80
    other = command(reference, "another value")
    assert other.returncode == 0, other.stderr
    assert "nothing found" in other.stdout


def test_a_provenance_tells_a_build_argument_that_nothing_uses(
    endpoint: Endpoint,
    canary: str,
    built: Callable[..., str],
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    if endpoint.can.image_store != "containerd":
        pytest.skip("the classic store keeps no attestations")
    text = "FROM scratch\nARG TOKEN\nCOPY Dockerfile /\n"
    reference = built(text, f"--build-arg=TOKEN={canary}", "--provenance=mode=max")
    found = command(reference, canary)
    assert found.returncode == 1, found.stderr
    assert "\nattestation\n" in found.stdout
    assert canary not in found.stdout + found.stderr


def test_a_missing_image_is_said_without_a_value(
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = command("layerlab/nosuch-canary:1", "nosuch-canary")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert f"there is no image layerlab/{MASK}:1 on the engine at" in line
