"""The frontend that a ``# syntax=`` line asks for: an image that BuildKit fetches to read the Dockerfile."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from layerlab.build.buildx import Request, build
from layerlab.build.dockerfile import parse
from layerlab.build.variant import Variant
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError

_SYNTAX = re.compile(r"^(\ufeff?)\s*#\s*syntax\s*=.*$", re.IGNORECASE | re.MULTILINE)
#: Docker's own frontend; every engine has one of its releases built in.
_OFFICIAL = re.compile(r"^(?:docker\.io/)?docker/dockerfile(?::[\w.-]+)?(?:@\S+)?$")


def fetched(endpoint: Endpoint, syntax: str, scratch: Path) -> bool:
    """Whether the engine can get a frontend; it has it from then on."""
    with TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        text = f"# syntax={syntax}\nFROM scratch\nLABEL layerlab=frontend\n"
        (folder / "Dockerfile").write_text(text)
        request = Request(
            folder / "Dockerfile", folder, parse(text), tag="", time_limit_seconds=120
        )
        return build(endpoint, request).failure is None


def is_official(name: str) -> bool:
    """Whether a frontend is Docker's own."""
    return _OFFICIAL.match(name) is not None


def built_in(variant: Variant) -> bytes:
    """A variant's Dockerfile without its ``# syntax=`` line, line for line, for the engine's own frontend.

    Raises:
        LabError: the frontend is not Docker's own, so the built-in one can't stand for it.
    """
    syntax = variant.dockerfile.syntax or ""
    if not is_official(syntax):
        raise LabError(
            f"{variant.path}:1: the frontend {syntax} can't be fetched, and the engine's own can't "
            "stand for it: remove the line, or make its registry reachable"
        )
    text = variant.path.read_bytes().decode("utf-8-sig")
    return _SYNTAX.sub("# (the syntax line that stood here)", text, count=1).encode()
