"""A scan: bytes that come in pieces, looked through for needles as if they were one."""

from collections.abc import Callable

from layerlab.image.forms import AS_IS
from layerlab.image.needles import Match, Needles

#: So much is looked through at once, however it came.
BLOCK = 1 << 18


class Scan:
    """Looks through a stream, and calls ``found`` for each match with its place in the stream.

    What it finds does not depend on how the stream is cut into writes: blocks have a fixed size, and before
    and after each there is as much more of the stream as a needle may need.
    """

    def __init__(
        self, needles: Needles, found: Callable[[Match], None], *, block: int = BLOCK
    ) -> None:
        self._needles = needles
        self._found = found
        self._block = block
        self._buffer = bytearray()
        #: Where in the stream the buffer begins, and how much of it was looked through.
        self._begin = 0
        self._done = 0
        #: Where in the stream each pattern's last match ended; the next one comes after it.
        self._ended = dict.fromkeys(needles.patterns, 0)

    @property
    def position(self) -> int:
        """How many bytes came."""
        return self._begin + len(self._buffer)

    def write(self, data: bytes | memoryview) -> None:
        self._buffer += data
        while len(self._buffer) >= self._done + self._block + self._needles.reach:
            self._look(self._block, self._needles.reach)

    def close(self) -> None:
        self._look(len(self._buffer) - self._done, 0)

    def _look(self, length: int, beyond: int) -> None:
        """Tell of what begins in the next ``length`` bytes."""
        begin, last = self._done, self._done + length
        window = bytes(memoryview(self._buffer)[: last + beyond])
        offset = self._begin + begin
        for start, end, needle, form in self._needles.literals(window[begin:]):
            if start < length:
                self._found(Match(offset + start, offset + end, needle, form))
        for one in self._needles.patterns:
            needle, pattern = one
            for match in pattern.finditer(window, max(begin, self._ended[one] - self._begin)):
                if match.start() >= last:
                    break
                start, end = self._begin + match.start(), self._begin + match.end()
                self._ended[one] = end
                self._found(Match(start, end, needle, AS_IS))
        # What patterns may look back at stays.
        gone = max(0, last - self._needles.reach) if self._needles.patterns else last
        del self._buffer[:gone]
        self._begin += gone
        self._done = last - gone
