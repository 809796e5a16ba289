"""A document of a saved image (a configuration, a manifest, an attestation), looked through for needles."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from layerlab.image.needles import Match, Needle, Needles
from layerlab.image.reader import LONGEST_DOCUMENT
from layerlab.image.scan import Scan

MANIFEST, ATTESTATION, DOCUMENT = "manifest", "attestation", "document"


@dataclass(frozen=True)
class Hit:
    """One needle in one form in one text of a document."""

    needle: Needle
    form: str
    matches: int
    #: Of the first match, in bytes of the text.
    offset: int
    #: Where the text is, such as "config.Env[1]"; "" for the document as it is written. Masked.
    key: str = ""


class Document:
    """Takes the bytes of a document as they come."""

    def __init__(self, path: str, needles: Needles) -> None:
        self.path = path
        self._needles = needles
        self._sha256 = hashlib.sha256()
        self._text = bytearray()
        self._raw = _Counts()
        self._scan = Scan(needles, self._raw.add)
        #: What it says as JSON; None where it is none, or too long to be one that matters.
        self.content: Any = None

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"

    @property
    def kind(self) -> str:
        """ "manifest", "attestation", or "document" for anything else."""
        content = self.content if isinstance(self.content, dict) else {}
        if str(content.get("_type", "")).startswith("https://in-toto.io/"):
            return ATTESTATION
        listed = isinstance(self.content, list) or self.path == "repositories"
        return MANIFEST if listed or content.keys() & {"manifests", "layers"} else DOCUMENT

    def write(self, data: memoryview) -> None:
        self._scan.write(data)
        self._sha256.update(data)
        if len(self._text) <= LONGEST_DOCUMENT:
            self._text += data

    def close(self) -> None:
        self._scan.close()
        if len(self._text) <= LONGEST_DOCUMENT:
            try:
                self.content = json.loads(bytes(self._text))
            except (ValueError, RecursionError):
                self.content = None
        self._text.clear()

    def hits(self, *, without: str | None = None) -> Iterator[Hit]:
        """By its texts, unescaped; and by its bytes, for what is in none of them.

        ``without`` is a key whose texts somebody else tells of.
        """
        told = set()
        for key, text in texts(self.content):
            for hit in in_text(self._needles, text):
                told.add(hit.needle)
                if without is None or not key.startswith(without):
                    name, equals, _ = text.partition("=")
                    is_variable = equals and "Env[" in key
                    where = self._needles.mask(f"{key} ({name})" if is_variable else key)
                    yield Hit(hit.needle, hit.form, hit.matches, hit.offset, where)
        yield from (hit for hit in self._raw.hits() if hit.needle not in told)


class _Counts:
    """Matches by what was found: where the first is, and how many there are."""

    def __init__(self) -> None:
        self._found: dict[tuple[Needle, str], tuple[int, int]] = {}

    def add(self, match: Match) -> None:
        key = (match.needle, match.form)
        first, count = self._found.get(key, (match.start, 0))
        self._found[key] = (min(first, match.start), count + 1)

    def hits(self) -> list[Hit]:
        return [
            Hit(needle, form, count, first)
            for (needle, form), (first, count) in self._found.items()
        ]


def in_text(needles: Needles, text: str) -> list[Hit]:
    """What is in one text."""
    counts = _Counts()
    for match in needles.find(text.encode(errors="surrogatepass")):
        counts.add(match)
    return counts.hits()


def texts(content: Any) -> Iterator[tuple[str, str]]:
    """Each text in a JSON value, names included, and the key that leads to it."""
    waiting = [("", content)]
    while waiting:  # not recursive: a hostile document nests deep
        key, value = waiting.pop()
        below: list[tuple[str, Any]] = []
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            below = [(f"{key}.{name}" if key else name, one) for name, one in value.items()]
            for name in value:
                yield f"{key}.{name}" if key else name, name
        elif isinstance(value, list):
            below = [(f"{key}[{index}]", one) for index, one in enumerate(value)]
        waiting += reversed(below)
