"""Stand-ins: base images built from Debian packages, for where no image registry answers.

Each recipe is a folder of ``recipes/``: a Dockerfile on top of its parent, down to Debian bookworm
itself, which mmdebstrap makes from signed packages. An image carries its name and its recipe's
digest as labels, and is tagged in one step at its end: a killed build leaves no half of one.
"""

import fcntl
import hashlib
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import docker.errors
from docker import DockerClient
from docker.models.images import Image

from layerlab.engine.command import run
from layerlab.engine.debian import AUTHORITIES, KEYRING, bookworm, proxies, sources, write_root
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.lock import exclusive
from layerlab.engine.root import as_root
from layerlab.errors import LabError
from layerlab.folders import cache_folder

STANDIN_LABEL = "dev.layerlab.standin"
RECIPE_LABEL = "dev.layerlab.recipe"
REPOSITORY = "layerlab-standin"
RECIPES_FOLDER = Path(__file__).parent / "recipes"
#: Architectures as Python and as the engine name them, where they differ.
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
ROOT = "debian:bookworm-slim"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Recipe:
    """How one stand-in is made."""

    name: str
    folder: str
    #: The stand-in that it is built on; None for Debian itself.
    parent: str | None
    #: Other names that the same image honestly has.
    aliases: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """Where the image is kept on every engine, whoever's it is."""
        return f"{REPOSITORY}/{self.name}"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(ROOT, "debian", None, ("debian:12-slim",)),
        Recipe("python:3.11-slim", "python-slim", ROOT, ("python:3.11-slim-bookworm",)),
        Recipe("python:3.11", "python", "python:3.11-slim", ("python:3.11-bookworm",)),
        Recipe("postgres:15", "postgres", ROOT, ("postgres:15-bookworm",)),
        Recipe("redis:7", "redis", ROOT, ("redis:7-bookworm", "redis:7.0", "redis:7.0-bookworm")),
        Recipe("registry:2", "registry", ROOT, ("registry:2.8",)),
    )
}
_BY_NAME = {name: recipe for recipe in RECIPES.values() for name in (recipe.name, *recipe.aliases)}


def recipe_for(name: str) -> Recipe | None:
    """The recipe of an image name in its short form, or None where there is no stand-in for it."""
    return _BY_NAME.get(name)


def digest(recipe: Recipe, host: str) -> str:
    """The recipe's digest: its files, its parent's, and what it takes from this host."""
    below = digest(RECIPES[recipe.parent], host) if recipe.parent else host
    found = hashlib.sha256(f"{recipe.name}\n{below}\n".encode())
    for file in sorted((RECIPES_FOLDER / recipe.folder).iterdir()):
        found.update(f"{file.name}\n".encode() + file.read_bytes())
    return found.hexdigest()


def current_digest(recipe: Recipe) -> str:
    """The digest that this machine would give the recipe's image now; LabError off Debian."""
    own = [sources(bookworm(), KEYRING)]
    own += [file.read_text(errors="replace") for file in sorted(AUTHORITIES.glob("*.crt"))]
    return digest(recipe, "\n".join(own))


def is_current(recipe: Recipe, labels: Mapping[str, str]) -> bool:
    """Whether an image with these labels is the recipe's, as it would be built now."""
    if labels.get(STANDIN_LABEL) != recipe.name:
        return False
    try:
        return labels.get(RECIPE_LABEL) == current_digest(recipe)
    except LabError:
        return True  # It cannot be built here, so the one that was brought here is the one.


def build(endpoint: Endpoint, recipe: Recipe, progress: Callable[[str], None]) -> None:
    """Make ``recipe.tag`` on the engine, with the stand-ins below it, unless it is there already.

    Raises:
        LabError: no Debian mirror, no root, or a package or build failed.
    """
    connection = endpoint.connect()
    try:
        engine, own = connection.version()["Arch"], platform.machine()
        if MACHINES.get(own, own) != engine:
            raise LabError(
                f"stand-ins are built for this machine ({own}), and the engine at {endpoint.host} "
                f"runs {engine}: pull the base images on it"
            )
        with _alone(progress) as work:
            _build(endpoint, connection, recipe, work, progress)
    finally:
        connection.close()


def _build(
    endpoint: Endpoint,
    connection: DockerClient,
    recipe: Recipe,
    work: Path,
    progress: Callable[[str], None],
) -> None:
    wanted = current_digest(recipe)
    before = _image(connection, recipe.tag)
    if before is not None and before.labels.get(RECIPE_LABEL) == wanted:
        return
    labels = {STANDIN_LABEL: recipe.name, RECIPE_LABEL: wanted}
    if recipe.parent is None:
        _import(endpoint, recipe, labels, work, progress)
    else:
        parent = RECIPES[recipe.parent]
        _build(endpoint, connection, parent, work, progress)
        progress(f"building a stand-in for {recipe.name} from Debian packages")
        replace(endpoint, extra={**endpoint.extra, **proxies()}).run(
            *("buildx", "build", "--progress=plain", "--provenance=false"),
            # By name: a proxy's address may hold a password, and everybody sees command lines.
            *(f"--build-arg={name}" for name in proxies()),
            *(f"--label={name}={value}" for name, value in labels.items()),
            *(f"--build-arg=PARENT={parent.tag}", "--tag", recipe.tag),
            RECIPES_FOLDER / recipe.folder,
            doing=f"building a stand-in for {recipe.name}",
            timeout=900,
        )
    if before is not None:
        _replace(connection, recipe, before)


def _import(
    endpoint: Endpoint,
    recipe: Recipe,
    labels: Mapping[str, str],
    work: Path,
    progress: Callable[[str], None],
) -> None:
    tar = work / "root.tar"
    write_root(RECIPES_FOLDER / recipe.folder, work.parent / "tools", work, tar, progress)
    settings = [f"LABEL {name}={value}" for name, value in labels.items()]
    settings += ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    settings += ['CMD ["bash"]']
    if any(AUTHORITIES.glob("*.crt")):
        # A newer pip and uv bring authorities of their own and read these instead of the system's.
        settings += [f"ENV PIP_CERT={BUNDLE}", f"ENV SSL_CERT_FILE={BUNDLE}"]
    changes = [word for setting in settings for word in ("--change", setting)]
    endpoint.run("import", *changes, tar, recipe.tag, doing="importing Debian bookworm")


@contextmanager
def _alone(progress: Callable[[str], None]) -> Iterator[Path]:
    """An empty work folder for this process alone; whatever a killed one left is removed."""
    folder = cache_folder() / "standins"
    busy = "waiting for another layerlab that builds stand-ins"
    with exclusive(folder / "lock", progress, busy):
        work = folder / "work"
        _remove(work)
        work.mkdir()
        try:
            yield work
        finally:
            _remove(work)


def remove_dead() -> list[str]:
    """Remove what a killed process was building stand-ins in; returns what was removed."""
    work = cache_folder() / "standins/work"
    if not work.exists():
        return []
    with (work.parent / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return []
        _remove(work)
    return [f"folder {work.parent.name}/{work.name}"]


def _remove(work: Path) -> None:
    # Root's files are left only where memory was short and the process was killed; see bootstrap.sh.
    shutil.rmtree(work, ignore_errors=True)
    if work.exists():
        run(as_root(["rm", "-rf", "--one-file-system", work]), doing=f"removing {work}")


def _image(connection: DockerClient, reference: str) -> Image | None:
    try:
        return connection.images.get(reference)
    except docker.errors.ImageNotFound:
        return None


def _replace(connection: DockerClient, recipe: Recipe, old: Image) -> None:
    """Give an outdated stand-in's official names to the new one and remove it if nothing needs it.

    ``old`` holds its tags of before the build; a name that a user gave it stays where it is.
    """
    new = connection.images.get(recipe.tag)
    for name in (recipe.name, *recipe.aliases):
        if name in old.tags:
            new.tag(name)
    try:
        if not connection.images.get(str(old.id)).tags:
            connection.images.remove(str(old.id))
    except docker.errors.APIError:
        pass  # a container was made from it, or it is gone already
