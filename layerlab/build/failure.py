"""Why a build failed: BuildKit's words turned into one sentence with file, line and next step."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from layerlab.build.dockerfile import Dockerfile
from layerlab.build.progress import Progress, Step
from layerlab.engine.pulls import familiar
from layerlab.text import shorten

#: buildx points at the source with "NAME:LINE" above an excerpt.
_LOCATION = re.compile(r"^(?P<file>\S.*):(?P<line>\d+)$")
_PARSE = re.compile(r"dockerfile parse error(?: on)? line (\d+): (.+)", re.IGNORECASE)
# Engine 20.10 writes `"/x" not found`. Of a stage that adds nothing to its base BuildKit says `lstat`,
# in older releases with the folder that it mounted the base at.
_MISSING = re.compile(
    r'"(?P<path>[^"]+)":? not found'
    r"|lstat (?:/\S*?/(?:buildkit-mount\d+|merged))?(?P<below>/.+?): no such file"
)
_WITHOUT_SPACE = re.compile("no space left on device", re.IGNORECASE)
#: COPY --from=NAME, RUN --mount=type=bind,from=NAME
_FROM = re.compile(r"--(?:mount=\S*?\b)?from=([^\s,]+)")
#: The second is Engine 20.10's.
_EXIT = re.compile(
    r"(?:did not complete successfully|executor failed running .*): exit code: (\d+)$"
)
_IMAGE = re.compile(r"failed to resolve source metadata for (\S+?): (.+)")
#: How BuildKit calls what it does to get an image; its older releases name the image nowhere else.
_RESOLVING = re.compile(
    r"^(?:\[internal\] load metadata for|resolve image config for|FROM) (?:docker-image://)?(\S+)$"
)
#: What buildx and BuildKit put before the cause, the last three in Engine 20.10.
_PREFIXES = re.compile(
    r"^ERROR: (failed to build: )?(failed to solve: )?(rpc error: code = Unknown desc = )?"
    r"(failed to solve with frontend \S+: )*(failed to create LLB definition: )?"
)
#: A race of the containerd image store (moby/buildkit#6521); the Dockerfile has no part in it.
_RACE = re.compile("parent snapshot .* does not exist")
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
#: Of a line; a step may print one without end.
_SHOWN_LINE = 300


@dataclass(frozen=True)
class Failure:
    """A build's failure."""

    #: "dockerfile", "base", "copy", "run", "disk", "engine", "time", "limit" or "other".
    kind: str
    #: One sentence: where, what, what to do; a step's last lines may follow it.
    sentence: str
    line: int = 0


def explain(
    progress: Progress,
    steps: Sequence[Step],
    file: str,
    dockerfile: Dockerfile,
    time_limit_seconds: float | None = None,
    beyond: str | None = None,
    reached: str | None = None,
) -> Failure:
    """Explain a failed build from what buildx and BuildKit reported.

    Clauses of :class:`layerlab.build.watch.Watch`: ``beyond`` is why it was stopped, ``reached`` is the
    limit at which the engine held it.
    """
    plain, mishap = progress.plain, progress.mishap()
    error = next((line for line in reversed(plain) if line.startswith("ERROR: ")), "")
    error = error or (plain[-1] if plain else "the docker command said nothing")
    cause = _PREFIXES.sub("", error)
    line = next((int(m["line"]) for text in plain if (m := _LOCATION.match(text))), 0)
    if parse := _PARSE.search(cause):
        line, cause = int(parse[1]), parse[2]
        return Failure("dockerfile", f"{file}:{line}: {cause}: mend this line", line)
    failed = next((step for step in steps if step.error and "canceled" not in step.error), None)
    if failed and failed.line:
        line = failed.line
    at = f"{file}:{line}" if line else file
    if time_limit_seconds is not None or beyond:
        busy = next((step for step in steps if step.unfinished), None)
        what = f"{file}:{busy.line}: {busy.label} {shorten(busy.instruction)}" if busy else file
        why = f"at its limit of {time_limit_seconds or 0:.0f} s (--build-limit)"
        if reached and not beyond:
            why += f"; {reached}"
        return Failure(
            "limit" if beyond else "time",
            f"{what}: the build was stopped {f'since {beyond}' if beyond else why}{_log(busy)}",
            busy.line if busy else 0,
        )
    if any(_WITHOUT_SPACE.search(text) for text in (cause, *(failed.log if failed else ()))):
        return Failure(
            "disk",
            f"{at}: no space is left where this step writes, most likely on the engine's disk: free "
            f"some (`docker system df` shows what is used), then run again{_log(failed)}",
            line,
        )
    if "max depth exceeded" in cause:
        return Failure(
            "dockerfile",
            f"{at}: the image gets more layers than this engine can put on each other: join some of its "
            "RUN, COPY and ADD instructions",
            line,
        )
    if image := _unresolved(cause, mishap):
        name, said = familiar(image[0]), image[1]
        frontend = name.startswith("docker/dockerfile")
        line = line or (1 if frontend else _naming(name, dockerfile))
        what = "frontend (# syntax=)" if frontend else "image"
        at = f"{file}:{line}" if line else file
        return Failure("base", f"{at}: the {what} {name} can't be had: {said}", line)
    if failed and failed.keyword == "RUN" and (exit_code := _EXIT.search(cause)):
        return Failure(
            "run",
            f"{at}: {failed.label} {shorten(failed.instruction)} failed with exit code "
            f"{exit_code[1]}{f': {reached}' if reached else ''}{_log(failed)}",
            line,
        )
    if _RACE.search(cause):
        return Failure(
            "other",
            f"{file}: the engine's image store lost a layer while it saved the image "
            f"(moby/buildkit#6521): run again ({cause})",
        )
    if missing := _MISSING.search(cause):
        path = missing["path"] or missing["below"]
        return Failure("copy", f"{at}: {_missing(path, failed)}", line)
    # Last, and only where nothing failed on the engine: a registry or a server that an ADD asks can
    # refuse, too.
    if (
        failed is None
        and mishap is None
        and any(word in text for word in _LOST for text in (cause, *plain[-3:]))
    ):
        busy = next((step for step in steps if step.unfinished), None)
        if busy and busy.line:
            line, at = busy.line, f"{file}:{busy.line}"
        return Failure(
            "engine",
            f"{at}: the engine went away in mid-build ({cause}): run again when it is back",
            line,
        )
    if line == 0 and mishap:
        line = next((step.line for step in steps if mishap[0] in step.instruction), 0)
        at = f"{file}:{line}" if line else file
    return Failure("dockerfile" if line else "other", f"{at}: {cause}{_log(failed)}", line)


def _unresolved(cause: str, mishap: tuple[str, str] | None) -> tuple[str, str] | None:
    """The image that could not be had, and why not; None where something else is the matter."""
    if image := _IMAGE.search(cause):
        return image[1], image[2]
    if mishap and (image := _RESOLVING.match(mishap[0])):
        return image[1], mishap[1]
    return None


def _naming(image: str, dockerfile: Dockerfile) -> int:
    """The line that names an image which BuildKit calls by its familiar name; 0 if none does."""
    named = (name for name in dockerfile.images() if familiar(name) == image)
    return dockerfile.line_naming(next(named, ""))


def _missing(path: str, step: Step | None) -> str:
    """The sentence for a file that a step needs and that is not where it should be."""
    if step and (source := _FROM.search(step.instruction)):
        return f"{path} is not in `{source[1]}`, which this step takes it from: mend this line"
    return (
        f"{path.lstrip('/')} is not in the build context (or an ignore file excludes it): add it, "
        "or mend this line"
    )


def _log(step: Step | None) -> str:
    if step is None or not step.log:
        return ""
    lines = "".join(f"\n    {_cut(line)}" for line in step.log[-SHOWN_LOG_LINES:])
    return f"; its last lines:{lines}"


def _cut(line: str) -> str:
    return line if len(line) <= _SHOWN_LINE else f"{line[:_SHOWN_LINE]}…"
