"""BuildKit's raw progress stream, read into the steps of a build.

The stream is what ``docker buildx build --progress=rawjson`` writes to its standard error: JSON objects
of BuildKit's ``SolveStatus`` (moby/buildkit ``client/graph.go``), one a line since buildx 0.14, each
spread over many lines in 0.13, with buildx's own plain lines (errors and the lines of the
Dockerfile that they point at) in between.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from layerlab.build.dockerfile import Dockerfile

#: "[2/5] RUN x", "[builder  2/14] RUN x", "[linux/arm64 builder 2/4] RUN x"
_STEP = re.compile(
    r"^\[(?:(\w+/[\w/>.-]+) +)?(?:(\S+) +)?([0-9]{1,6})/([0-9]{1,6})\] (.*)$", re.DOTALL
)
_CONTEXT = re.compile(r"^transferring context:")
LOG_LINES = 20
_LOG_BYTES = 16_384
#: Of a line, and of an object over many: more than BuildKit sends at once (gRPC's 16 MiB, in base64).
_LONGEST_OBJECT = 32 << 20
#: Of buildx's own lines: what it says at its end is what explains a failure.
_PLAIN_LINES, _PLAIN_CHARACTERS = 1_000, 10_000
_MOST_BYTES = 1 << 63


@dataclass(frozen=True)
class Step:
    """One numbered step of a build, such as ``[builder 2/5] RUN pip install …``."""

    #: The stage's name; "" where the only stage has none.
    stage: str
    position: int
    #: How many numbered steps the stage has.
    total: int
    #: As BuildKit shows it, variables expanded and continuation lines joined.
    instruction: str
    #: Lines in the Dockerfile, from 1; 0 where the step is of an image's ONBUILD.
    line: int
    end_line: int
    cached: bool
    #: Time in which the step was at work; pauses in between are not counted.
    seconds: float
    #: Start in seconds after the first thing the engine did in this build.
    offset_seconds: float
    error: str | None = None
    #: The last lines that the step printed.
    log: tuple[str, ...] = ()
    #: It began and never ended: the build was stopped, or the engine went away.
    unfinished: bool = False

    @property
    def keyword(self) -> str:
        words = self.instruction.removeprefix("ONBUILD ").split(maxsplit=1)
        return words[0].upper() if words else ""

    @property
    def is_base(self) -> bool:
        """FROM is a step to BuildKit, but nothing is run for it."""
        return self.keyword == "FROM"

    @property
    def is_counted(self) -> bool:
        """Whether the step's work is what a cache saves.

        WORKDIR is not counted: BuildKit does not pass ``--no-cache`` on to the folder that it makes
        (moby/buildkit ``dockerfile2llb/convert.go``, ``dispatchWorkdir`` sets no ``IgnoreCache``), so it
        may be cached in a cold build, by any variant that came before.
        """
        return self.keyword in ("RUN", "COPY", "ADD")

    @property
    def label(self) -> str:
        """The step's name as BuildKit numbers it: ``[builder 2/5]``."""
        return f"[{self.stage} {self.position}/{self.total}]".replace("[ ", "[")


@dataclass
class _Vertex:
    name: str = ""
    cached: bool = False
    error: str | None = None
    #: Start -> end, in seconds of the epoch; None while it is at work.
    intervals: dict[float, float | None] = field(default_factory=dict)
    log: bytes = b""


@dataclass
class Progress:
    """What the stream has said so far; feed it bytes as they come."""

    vertexes: dict[str, _Vertex] = field(default_factory=dict)
    #: buildx's own lines, which are not JSON.
    plain: list[str] = field(default_factory=list)
    context_bytes: int = 0
    _transfers: dict[str, int] = field(default_factory=dict)
    _rest: bytearray = field(default_factory=bytearray)
    _open: list[str] = field(default_factory=list)
    _open_characters: int = 0

    def feed(self, data: bytes) -> list[str]:
        """Take in bytes; returns the names of steps that started or ended with them."""
        *ends, beginning = data.split(b"\n")
        names: list[str] = []
        for end in ends:
            self._keep(end)
            line = self._rest.decode(errors="replace")
            self._rest = bytearray()
            names += self._line(line)
        self._keep(beginning)
        return names

    def close(self) -> None:
        """The stream has ended: take in what has no line end."""
        self.feed(b"\n")
        self._open = []

    def _keep(self, piece: bytes) -> None:
        self._rest += piece[: max(0, _LONGEST_OBJECT - len(self._rest))]

    def _line(self, line: str) -> Iterator[str]:
        if line.startswith("{"):
            # An object over many lines has the only braces in the first column: one that is open here
            # has lost its end, or was none.
            self._open, self._open_characters = [], 0
        elif not self._open:
            if line.strip():
                self.plain.append(line[:_PLAIN_CHARACTERS])
                if len(self.plain) >= 2 * _PLAIN_LINES:
                    del self.plain[:-_PLAIN_LINES]
            return
        self._open_characters += len(line)
        if self._open_characters <= _LONGEST_OBJECT:
            self._open.append(line)
        if line == "{" or (len(self._open) > 1 and line != "}"):
            return
        text, self._open = "\n".join(self._open), []
        try:
            names = list(self._status(json.loads(text)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # Cut off or damaged: it says nothing that a person could read.
        yield from names

    def _status(self, status: dict[str, Any]) -> Iterator[str]:
        for update in status.get("vertexes") or ():
            vertex = self.vertexes.setdefault(update["digest"], _Vertex())
            vertex.name = _text(update.get("name")) or vertex.name
            vertex.cached = vertex.cached or bool(update.get("cached"))
            vertex.error = _text(update.get("error")) or vertex.error
            if update.get("started"):
                started = timestamp(update["started"])
                ended = update.get("completed")
                known = vertex.intervals.get(started)
                vertex.intervals[started] = timestamp(ended) if ended else known
                yield vertex.name
        for update in status.get("statuses") or ():
            # In buildx's stream the transfer's words are the status's id.
            if _CONTEXT.match(str(update.get("id", ""))):
                key = f"{update['vertex']} {update['id']} {update.get('started')}"
                self._transfers[key] = max(
                    self._transfers.get(key, 0), _count(update.get("current"))
                )
                self.context_bytes = sum(self._transfers.values())
        for update in status.get("logs") or ():
            vertex = self.vertexes.setdefault(update["vertex"], _Vertex())
            vertex.log = (vertex.log + base64.b64decode(update.get("data") or ""))[-_LOG_BYTES:]

    def steps(self, dockerfile: Dockerfile) -> tuple[Step, ...]:
        """The numbered steps in the Dockerfile's order.

        Vertices of one name are one step (``COPY --link`` makes two): their intervals are merged,
        and it was cached only if all of them were. Where ``--build-context`` replaces a FROM, BuildKit
        counts that step and gives its number to the next one: positions are set right here.
        """
        begin = self.begin()
        named = [match for v in self.vertexes.values() if (match := _STEP.match(v.name))]
        missing: dict[str, int] = {}
        for match in named:
            stage, short = match[2] or "", int(match[4]) - int(match[3])
            missing[stage] = min(missing.get(stage, short), short)
        merged: dict[tuple[str, int], Step] = {}
        spans: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for vertex in self.vertexes.values():
            match = _STEP.match(vertex.name)
            if not match:
                continue
            _, stage, position, total, instruction = match.groups()
            key = (stage or "", int(position) + missing[stage or ""])
            spans.setdefault(key, []).extend(_spans(vertex))
            known = merged.get(key)
            trigger = instruction.startswith("ONBUILD ")
            found = None if trigger else dockerfile.find(*key, int(total))
            merged[key] = Step(
                stage=key[0],
                position=key[1],
                total=int(total),
                instruction=instruction,
                line=found.line if found else 0,
                end_line=found.end_line if found else 0,
                cached=vertex.cached and (known is None or known.cached),
                seconds=0.0,
                offset_seconds=0.0,
                error=vertex.error or (known.error if known else None),
                log=_tail(vertex.log) or (known.log if known else ()),
                unfinished=None in vertex.intervals.values()
                or (known is not None and known.unfinished),
            )
        ordered = sorted(merged, key=lambda key: (dockerfile.stage_index(key[0]), key[1]))
        return tuple(
            replace(
                merged[key],
                seconds=_union(spans[key]),
                offset_seconds=max(0.0, min((s for s, _ in spans[key]), default=begin) - begin),
            )
            for key in ordered
        )

    def mishap(self) -> tuple[str, str] | None:
        """What failed and is no step, by BuildKit's name for it, and its error.

        It may be an image's metadata, a frontend, or what an ADD fetches.
        """
        for vertex in self.vertexes.values():
            if vertex.error and "canceled" not in vertex.error and not _STEP.match(vertex.name):
                return vertex.name, vertex.error
        return None

    def begin(self) -> float:
        """When the engine began, in seconds of the epoch; 0 if it never did."""
        return min((s for v in self.vertexes.values() for s, _ in _spans(v)), default=0.0)

    def engine_seconds(self) -> float:
        """From the first thing that the engine did to the last."""
        ends = [end for v in self.vertexes.values() for _, end in _spans(v)]
        # A clock that is set back ends things before they began.
        return max(0.0, max(ends) - self.begin()) if ends else 0.0


def timestamp(text: str) -> float:
    """Seconds of the epoch for RFC 3339 with up to nine digits of a second's fraction (Go's)."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    if fraction.strip("0123456789"):
        raise ValueError("no fraction of a second")  # float() takes exponents, too
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or '0'}")


def _text(value: object) -> str:
    """A text of the stream; "" where it is none. JSON may hold half a character, which no file takes."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _count(value: object) -> int:
    """A number of bytes; 0 where it is none."""
    return value if isinstance(value, int) and 0 <= value < _MOST_BYTES else 0


def _spans(vertex: _Vertex) -> list[tuple[float, float]]:
    return [(started, ended) for started, ended in vertex.intervals.items() if ended is not None]


def _union(spans: Iterable[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _tail(log: bytes) -> tuple[str, ...]:
    lines = log.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return tuple([line for line in lines if line.strip()][-LOG_LINES:])
