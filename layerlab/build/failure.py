"""Why a build failed: BuildKit's words turned into one sentence with file, line and next step."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from layerlab.build.dockerfile import Dockerfile
from layerlab.build.progress import Step

#: buildx points at the source with "NAME:LINE" above an excerpt.
_LOCATION = re.compile(r"^(?P<file>\S.*):(?P<line>\d+)$")
_PARSE = re.compile(r"dockerfile parse error(?: on)? line (\d+): (.+)", re.IGNORECASE)
_MISSING = re.compile(r'"(?P<path>[^"]+)": not found')
_WITHOUT_SPACE = re.compile("no space left on device", re.IGNORECASE)
#: COPY --from=NAME, RUN --mount=type=bind,from=NAME
_FROM = re.compile(r"--(?:mount=\S*?\b)?from=([^\s,]+)")
_EXIT = re.compile(r"did not complete successfully: exit code: (\d+)")
_IMAGE = re.compile(r"failed to resolve source metadata for (\S+?): (.+)")
_LOST = (
    "Cannot connect to the Docker daemon",
    "error reading from server",
    "connection refused",
    "connection reset",
    "code = Unavailable",
    "unexpected EOF",
    "closing transport",
    "use of closed network connection",
)
SHOWN_LOG_LINES = 8


@dataclass(frozen=True)
class Failure:
    """A build's failure."""

    #: "dockerfile", "base", "copy", "run", "disk", "engine", "time" or "other".
    kind: str
    #: One sentence: where, what, what to do; a step's last lines may follow it.
    sentence: str
    line: int = 0


def explain(
    plain: Sequence[str],
    steps: Sequence[Step],
    file: str,
    dockerfile: Dockerfile,
    time_limit_seconds: float | None = None,
) -> Failure:
    """Explain a failed build from buildx's plain lines and the steps that BuildKit reported."""
    error = next((line for line in reversed(plain) if line.startswith("ERROR: ")), "")
    error = error or (plain[-1] if plain else "the docker command said nothing")
    cause = re.sub(r"^ERROR: (failed to build: )?(failed to solve: )?", "", error)
    line = next((int(m["line"]) for text in plain if (m := _LOCATION.match(text))), 0)
    if parse := _PARSE.search(cause):
        line, cause = int(parse[1]), parse[2]
        return Failure("dockerfile", f"{file}:{line}: {cause}: mend this line", line)
    failed = next((step for step in steps if step.error and "canceled" not in step.error), None)
    if failed and failed.line:
        line = failed.line
    at = f"{file}:{line}" if line else file
    if time_limit_seconds is not None:
        busy = next((step for step in steps if step.unfinished), None)
        what = f"{file}:{busy.line}: {busy.label} {shorten(busy.instruction)}" if busy else file
        return Failure(
            "time",
            f"{what}: the build was stopped at its limit of {time_limit_seconds:.0f} s "
            f"(--build-limit){_log(busy)}",
            busy.line if busy else 0,
        )
    if any(_WITHOUT_SPACE.search(text) for text in (cause, *(failed.log if failed else ()))):
        return Failure(
            "disk",
            f"{at}: no space is left where this step writes, most likely on the engine's disk: free "
            f"some (`docker system df` shows what is used), then run again{_log(failed)}",
            line,
        )
    if image := _IMAGE.search(cause):
        name = image[1].removeprefix("docker.io/library/").removeprefix("docker.io/")
        what = "frontend (# syntax=)" if name.startswith("docker/dockerfile") else "image"
        return Failure("base", f"{at}: the {what} {name} can't be had: {image[2]}", line)
    if failed and failed.keyword == "RUN" and (exit_code := _EXIT.search(cause)):
        return Failure(
            "run",
            f"{at}: {failed.label} {shorten(failed.instruction)} failed with exit code "
            f"{exit_code[1]}{_log(failed)}",
            line,
        )
    if missing := _MISSING.search(cause):
        return Failure("copy", f"{at}: {_missing(missing['path'], failed)}", line)
    # Last, and only where no step failed: a registry or a server that an ADD asks can refuse, too.
    if failed is None and any(word in text for word in _LOST for text in (cause, *plain[-3:])):
        busy = next((step for step in steps if step.unfinished), None)
        if busy and busy.line:
            line, at = busy.line, f"{file}:{busy.line}"
        return Failure(
            "engine",
            f"{at}: the engine went away in mid-build ({cause}): run again when it is back",
            line,
        )
    return Failure("dockerfile" if line else "other", f"{at}: {cause}{_log(failed)}", line)


def _missing(path: str, step: Step | None) -> str:
    """The sentence for a file that a step needs and that is not where it should be."""
    if step and (source := _FROM.search(step.instruction)):
        return f"{path} is not in `{source[1]}`, which this step takes it from: mend this line"
    return (
        f"{path.lstrip('/')} is not in the build context (or an ignore file excludes it): add it, "
        "or mend this line"
    )


def shorten(text: str, width: int = 60) -> str:
    """One line of at most ``width`` characters, its white space folded."""
    folded = " ".join(text.split())
    return folded if len(folded) <= width else folded[: width - 1] + "…"


def _log(step: Step | None) -> str:
    if step is None or not step.log:
        return ""
    lines = "".join(f"\n    {line}" for line in step.log[-SHOWN_LOG_LINES:])
    return f"; its last lines:{lines}"
