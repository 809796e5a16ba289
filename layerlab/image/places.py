"""Places in a layer: which file, header or padding of a tar stream each match lies in."""

from bisect import bisect_right
from dataclasses import dataclass

from layerlab.image.changeset import Changeset, Entry
from layerlab.image.needles import Match, Needle, Needles
from layerlab.image.scan import Scan
from layerlab.image.tar import Member, normal
from layerlab.image.tarheader import BLOCK

#: Of a layer; what is found in more of them is only counted.
MOST_PLACES = 10_000
CONTENT, HEADER, PADDING, END = "content", "header", "padding", "end"


@dataclass(frozen=True)
class Spot:
    """One needle, in one form, in one part of one member of a layer."""

    needle: Needle
    form: str
    #: "content", "header" (names, owners, attributes), "padding", or "end" for what follows all members
    part: str
    #: Masked.
    path: str
    #: What the changeset has of the member; None where it has nothing.
    entry: Entry | None
    #: Of the first match, in the plain tar stream.
    offset: int
    matches: int


class LayerScan:
    """Looks through the plain tar stream of a layer."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._bytes = Scan(needles, self._found)
        # A long path is cut in two in a header, so names are looked through once more as they are.
        self._names = Scan(needles, self._found_in_name)
        self._members: list[tuple[Member, Entry | None]] = []
        #: Where each member's content and the padding after it end, and where its names do.
        self._ends: list[int] = []
        self._name_ends: list[int] = []
        self._waiting: list[Match] = []
        self._counts: dict[tuple[int, str, Needle, str], list[int]] = {}
        self._in_names: dict[tuple[int, Needle, str], int] = {}
        #: Matches at more than so many places.
        self.more = 0
        self.changeset: Changeset | None = None
        self.spots: tuple[Spot, ...] = ()

    def member(self, member: Member, header: int, entry: Entry | None) -> None:
        self._members.append((member, entry))
        # An old GNU sparse file has more blocks of header; they would count as content.
        self._ends.append(header + BLOCK + member.size + -member.size % BLOCK)
        names = f"{member.path}\0{member.target}\0".encode(errors="surrogateescape")
        self._names.write(names)
        self._name_ends.append(self._names.position)

    def write(self, data: bytes | memoryview) -> None:
        self._bytes.write(data)
        if self._waiting:
            self._settle(self._ends[-1] if self._ends else 0)

    def close(self, changeset: Changeset) -> None:
        self._bytes.close()
        self._names.close()
        self._settle(None)
        for (index, needle, form), count in self._in_names.items():
            key = (index, HEADER, needle, form)
            if key not in self._counts and len(self._counts) < MOST_PLACES:
                member = self._members[index][0]
                self._counts[key] = [self._ends[index] - BLOCK - _padded(member.size), count]
        self.changeset = changeset
        self.spots = tuple(self._spot(*key, *counted) for key, counted in self._counts.items())
        self._members.clear()

    def _found(self, match: Match) -> None:
        self._waiting.append(match)

    def _found_in_name(self, match: Match) -> None:
        index = bisect_right(self._name_ends, match.start)
        key = (index, match.needle, match.form)
        if key in self._in_names or len(self._in_names) < MOST_PLACES:
            self._in_names[key] = self._in_names.get(key, 0) + 1

    def _settle(self, known: int | None) -> None:
        """Tell of matches, up to where the members are known, which members they are in."""
        waiting = []
        for match in self._waiting:
            if known is not None and match.start >= known:
                waiting.append(match)
                continue
            index = bisect_right(self._ends, match.start)
            key = (index, self._part(index, match.start), match.needle, match.form)
            if counted := self._counts.get(key):
                counted[1] += 1
            elif len(self._counts) < MOST_PLACES:
                self._counts[key] = [match.start, 1]
            else:
                self.more += 1
        self._waiting = waiting

    def _part(self, index: int, at: int) -> str:
        if index == len(self._ends):
            return END
        size = self._members[index][0].size
        content = self._ends[index] - _padded(size)
        if at < content:
            return HEADER
        return CONTENT if at < content + size else PADDING

    def _spot(
        self, index: int, part: str, needle: Needle, form: str, offset: int, matches: int
    ) -> Spot:
        path, entry = "", None
        if part != END:
            member, entry = self._members[index]
            masked = self._needles.mask(member.path)
            # Once more: without the "./" in its middle a path may be a value that it was not before.
            path = self._needles.mask(normal(masked) or masked)
        return Spot(needle, form, part, path, entry, offset, matches)


def _padded(size: int) -> int:
    return size + -size % BLOCK
