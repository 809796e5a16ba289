"""Litter: what piles up on an engine, made on purpose, a little of everything that a clean-up tells apart."""

from pathlib import Path

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run.container import MEMORY

REPOSITORY = "layerlab/litter"
_SECONDS = 120
#: The layer of the first stage is in no image, those of the last are.
_DOCKERFILE = """\
FROM {base} AS builder
RUN head -c 300000 /dev/urandom > /built
FROM {base}
COPY --from=builder /built /built
RUN head -c 500000 /dev/urandom > /{name}
"""
_WRITING = "head -c {count} /dev/urandom > /named/file; head -c {count} /dev/urandom > /own; {then}"


def make(endpoint: Endpoint, run: Run, base: str) -> None:
    """Litter an engine that has the image ``base``, which needs a shell.

    There are then: a running and a stopped container, each in a network and with an anonymous and a named
    volume of its own; a network, an anonymous and a named volume of nobody; an image of each container, one of
    nobody with two tags, and one that lost its tag to a newer; and the build cache of all this.

    Raises:
        LabError: something can't be made.
    """
    names = {what: f"layerlab-{what}-{run.id}" for what in ("busy", "idle", "unused")}
    labels = run.label_words

    def docker(*words: str | Path) -> None:
        endpoint.run(*words, doing="littering an engine", timeout=_SECONDS)

    for what, name in names.items():
        folder = run.folder / "litter" / endpoint.host.replace("/", "-") / what
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dockerfile").write_text(_DOCKERFILE.format(base=base, name=what))
        tags = [f"{REPOSITORY}:{what}", *([f"{REPOSITORY}:again"] if what == "unused" else [])]
        tagged = [word for tag in tags for word in ("--tag", tag)]
        docker("buildx", "build", "--load", "--provenance=false", *labels, *tagged, folder)
        docker("network", "create", *labels, name)
        docker("volume", "create", *labels, name)
    docker("volume", "create", *labels)
    for what, then in (("busy", "exec sleep 3600"), ("idle", "exit")):
        words = ["run", "--detach", "--pull", "never", "--init", "--name", names[what], *labels]
        words += ["--memory", MEMORY, "--network", names[what]]
        words += ["--volume", f"{names[what]}:/named", "--volume", "/anonymous"]
        script = _WRITING.format(count=40_000, then=then)
        docker(*words, f"{REPOSITORY}:{what}", "sh", "-c", script)
    ended = endpoint.run("wait", names["idle"], doing="waiting for a container", timeout=_SECONDS)
    if ended.strip() != "0":
        raise LabError(f"a container of {base} can't write files: its exit code is {ended.strip()}")
    for _ in range(2):
        docker("commit", names["idle"], f"{REPOSITORY}:committed")
