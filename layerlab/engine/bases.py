"""Base images: made present on the engine before anything is timed, and told apart afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import docker.errors
from docker import DockerClient

from layerlab.engine.endpoint import Endpoint, version_tuple
from layerlab.engine.pulls import (
    FAILED,
    MISSING,
    UNAVAILABLE,
    familiar,
    pull,
    pull_failure,
    registry,
)
from layerlab.engine.standins import (
    RECIPES,
    STANDIN_LABEL,
    Recipe,
    build,
    is_current,
    recipe_for,
)
from layerlab.errors import LabError

#: The first engine whose BuildKit takes `--build-context` (named contexts, BuildKit 0.10).
OLDEST_REPLACING = (23, 0)


@dataclass(frozen=True)
class Base:
    """A base image that is present on the engine."""

    #: As the Dockerfile writes it, such as "python:3.11-slim".
    name: str
    #: What a build or a container must use instead; differs from the name only for a stand-in
    #: on an engine that is not ours, where the official name is not ours to give (a user may).
    reference: str
    standin: bool
    #: The engine's ID of the image.
    image_id: str
    #: "present", "pulled" or "built"
    how: str
    #: The digest in its registry ("sha256:…"); None for a stand-in and for a local image.
    digest: str | None


def ensure(
    endpoint: Endpoint,
    names: Sequence[str],
    *,
    standins: bool,
    progress: Callable[[str], None],
) -> list[Base]:
    """Make every base image present: as it is, else pulled, else as a stand-in.

    Stand-ins are made on the private engine, and on a user's engine only when ``standins`` is
    true. Each name is looked at once; ``scratch`` needs nothing and is left out.

    Raises:
        LabError: an image does not exist, cannot be had, or its stand-in cannot be built.
    """
    allowed = standins or endpoint.private
    silent: dict[str, str] = {}
    with endpoint.connected() as connection:
        found = []
        for name in dict.fromkeys(names):
            if name != "scratch":
                found.append(_ensure(endpoint, connection, name, allowed, silent, progress))
        return found


def _ensure(
    endpoint: Endpoint,
    connection: DockerClient,
    name: str,
    allowed: bool,
    silent: dict[str, str],
    progress: Callable[[str], None],
) -> Base:
    """One base. ``silent`` maps each registry that did not answer to what the engine said of it."""
    recipe = recipe_for(familiar(name))
    present = _inspect(connection, name)
    if present is not None:
        # On our own engine a stand-in has the official name; an outdated one is made again.
        own = recipe if recipe and _labels(present).get(STANDIN_LABEL) == recipe.name else None
        if own is None:
            return _base(name, present, "present")
        return _standin(endpoint, connection, name, own, progress)
    if recipe and allowed:
        earlier = _inspect(connection, recipe.tag)
        if earlier is not None and is_current(recipe, _labels(earlier)):
            return _standin(endpoint, connection, name, recipe, progress)
    host = registry(name)
    if host not in silent:
        progress(f"pulling {name}")
        said = pull(endpoint, name, progress)
        if said is None:
            pulled = _inspect(connection, name)
            if pulled is None:
                raise LabError(f"the engine pulled {name} and has no image of that name: try again")
            return _base(name, pulled, "pulled")
        if pull_failure(said) != UNAVAILABLE:
            raise LabError(sentence(name, said, endpoint.private))
        silent[host] = said
        progress(f"no images from {host}: {said}")
    if recipe is None or not allowed:
        raise LabError(sentence(name, silent[host], endpoint.private))
    return _standin(endpoint, connection, name, recipe, progress)


def sentence(name: str, said: str, private: bool) -> str:
    """The error for a base image that could not be pulled, where the engine said ``said``."""
    kind, own = pull_failure(said), recipe_for(familiar(name))
    if kind == MISSING:
        cause = "does not exist, or not for this user"
        todo = "check its name and tag, or run `docker login` for its registry"
    elif kind == FAILED:
        cause, todo = "cannot be pulled", "mend what the engine names and try again"
    elif own and not private:
        cause = f"is not here, and {registry(name)} does not answer"
        todo = "connect to it, or allow a stand-in from Debian packages with --standins"
    else:
        cause = f"is not here, and {registry(name)} does not answer"
        option = "" if private else " with --standins"
        todo = f"bring it with `docker load`, or use one that has a stand-in{option}: " + ", ".join(
            RECIPES
        )
    return f"the base image {name} {cause}: {todo} (the engine: {said})"


def _standin(
    endpoint: Endpoint,
    connection: DockerClient,
    name: str,
    recipe: Recipe,
    progress: Callable[[str], None],
) -> Base:
    """The stand-in for ``name``, built if it is missing or outdated."""
    image = _inspect(connection, recipe.tag)
    how = "present"
    if image is None or not is_current(recipe, _labels(image)):
        how = "built"
        build(endpoint, recipe, progress)
        image = _inspect(connection, recipe.tag)
        if image is None:
            raise LabError(f"the stand-in for {name} was built and is gone again: try again")
    if not endpoint.private:
        named = _inspect(connection, name)
        given = named is not None and named["Id"] == image["Id"]  # by the user
        if not given and version_tuple(endpoint.can.engine) < OLDEST_REPLACING:
            raise LabError(
                f"Docker Engine {endpoint.can.engine} can't build with a stand-in in place of {name} "
                f"(23.0 and newer can): run `docker tag {recipe.tag} {name}`, or use --engine private"
            )
        return Base(name, name if given else recipe.tag, True, str(image["Id"]), how, None)
    # On our own engine the official name is ours to give, and plain `docker build` finds it, too.
    connection.images.get(recipe.tag).tag(familiar(name))
    return Base(name, name, True, str(image["Id"]), how, None)


def _inspect(connection: DockerClient, reference: str) -> dict[str, Any] | None:
    """What the engine says of an image, or None where it has none of that name."""
    try:
        found: dict[str, Any] = connection.images.get(reference).attrs
    except docker.errors.ImageNotFound:
        return None
    except docker.errors.APIError as error:
        if error.status_code != 400:
            raise
        raise LabError(f"{reference} is not an image name: {error.explanation}") from error
    return found


def _labels(image: Mapping[str, Any]) -> dict[str, str]:
    return dict((image.get("Config") or {}).get("Labels") or {})


def _base(name: str, image: Mapping[str, Any], how: str) -> Base:
    return Base(name, name, False, str(image["Id"]), how, repo_digest(name, image))


def repo_digest(name: str, image: Mapping[str, Any]) -> str | None:
    """The digest of an image in the repository of ``name``, from ``docker inspect``."""
    repository = familiar(name).partition("@")[0]
    repository = repository.rpartition(":")[0] or repository
    for known in image.get("RepoDigests") or []:
        where, _, found = str(known).partition("@")
        if familiar(where).rpartition(":")[0] == repository:
            return found
    return None


def described(bases: Sequence[Base]) -> str:
    """One line for under a table: which bases were official, and which were stand-ins.

    One that several engines have is named once.
    """
    parts = []
    for base in bases:
        if base.standin:
            continue
        if base.digest is None:
            kind = "local"
        else:
            official = registry(base.name) == "docker.io" and "/" not in familiar(base.name)
            kind = f"{'official' if official else 'pulled'} ({base.digest[:19]})"
        parts.append(f"{base.name} {kind}")
    made = list(dict.fromkeys(base.name for base in bases if base.standin))
    if made:
        parts.append(f"{', '.join(made)} stand-in{'s' * (len(made) > 1)} from Debian packages")
    return "; ".join(dict.fromkeys(parts)) or "none"


def build_contexts(bases: Sequence[Base]) -> list[tuple[str, str]]:
    """``--build-context`` pairs that make a build use each base's reference for its name."""
    return [
        (base.name, f"docker-image://{base.reference}")
        for base in bases
        if base.reference != base.name
    ]
