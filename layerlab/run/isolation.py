"""What in a compose file would reach beyond the stack, to what the user's engine has already."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layerlab.errors import LabError
from layerlab.run import composefile


def check(config: Mapping[str, Any], files: Sequence[Path], name: str, image: str) -> None:
    """See to it that all that the project ``name`` makes and removes is its own.

    ``config`` is the project as `docker compose config --format json` gives it, ``image`` the reference
    that its web image gets. A volume or network that is written with a name has it on the whole engine,
    also for `down --volumes`; a container's name and an image's are the whole engine's, too
    (https://docs.docker.com/reference/compose-file/volumes/#name).

    Raises:
        LabError: something is not, with the line that says so.
    """
    for kind in ("volumes", "networks"):
        for key, one in (config.get(kind) or {}).items():
            called, what = one.get("name", ""), kind.removesuffix("s")
            if one.get("external"):
                raise _refused(
                    files, (kind, key, "external"), f"the {what} {key} is another's (external)"
                )
            if not called.startswith(f"{name}_"):
                raise _refused(
                    files, (kind, key, "name"), f"the {what} {key} is named {called} on the engine"
                )
    for key, one in config["services"].items():
        if called := one.get("container_name"):
            raise _refused(
                files,
                ("services", key, "container_name"),
                f"the container of {key} is named {called} on the engine",
            )
        if "build" in one and one.get("image", image) != image:
            raise _refused(
                files,
                ("services", key, "image"),
                f"the image of {key} is built as {one['image']} on the engine",
            )


def _refused(files: Sequence[Path], keys: tuple[str, str, str], what: str) -> LabError:
    place = composefile.nearest(files, keys)
    told = f"{place}: {what}" if place else what
    return LabError(
        f"{told}, and layerlab would change and remove what you have there: leave `{keys[-1]}` out"
    )
