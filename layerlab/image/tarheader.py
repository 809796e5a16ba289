"""The header of a tar member: its fields, and the attributes of pax, which count before them.

Numbers and times are read as Go's ``archive/tar`` reads them.
"""

import functools
import re

BLOCK = 512
_MOST = 1 << 63
#: Records of a pax header that matter here; the path of a sparse file is in one of its own.
SPARSE_NAME = "GNU.sparse.name"
_RECORDS = frozenset({"path", "linkpath", "size", "uid", "gid", "mtime", SPARSE_NAME})
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_SECONDS = re.compile(r"([+-]?[0-9]{1,19})(?:\.[0-9]*)?")


def is_header(block: bytes | memoryview) -> bool:
    """Whether a block is a tar header by its checksum: the sum of its bytes, its own field as spaces."""
    field = bytes(block[148:156])
    try:
        stated = _octal(field)
    except ValueError:
        return False
    if len(block) != BLOCK or not field.strip(b" \0"):
        return False
    total = sum(block) - sum(field) + 8 * 0x20
    if stated == total:
        return True
    # Some old programs add the bytes up as signed ones.
    high = sum(byte > 127 for byte in bytes(block[:148]) + bytes(block[156:]))
    return stated == total - 256 * high


def text(field: bytes) -> str:
    """A field up to its first zero byte; bytes that are not UTF-8 are kept as surrogates."""
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0").partition(b"\0")[0]
    if digits and not digits.isdigit():  # int() takes signs and underscores, too
        raise ValueError("no octal number")
    return int(digits or b"0", 8)


@functools.lru_cache(maxsize=4096)  # owners, modes and times repeat from file to file
def number(field: bytes) -> int:
    """Octal digits; or binary, marked by the highest bit, where those do not suffice (GNU, star)."""
    if not field[0] & 0x80:
        return _octal(field)
    bits = 8 * len(field) - 1
    found = int.from_bytes(field, "big") & ((1 << bits) - 1)
    return _limited(found - (1 << bits) if field[0] & 0x40 else found)


def integer(digits: str) -> int:
    """A whole number of a pax record."""
    if not _INTEGER.fullmatch(digits):
        raise ValueError("no integer")
    return _limited(int(digits))


def seconds(digits: str) -> int:
    """The whole seconds of a pax record's time."""
    match = _SECONDS.fullmatch(digits)
    if not match:
        raise ValueError("no time")
    return _limited(int(match[1]))


def _limited(number: int) -> int:
    if not -_MOST <= number < _MOST:
        raise ValueError("more than 64 bits")
    return number


def pax_records(data: bytes) -> dict[str, str]:
    """Records of "LENGTH KEY=VALUE\\n"; the length counts the whole record."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        length = data[at : max(space, at)]
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = data[space + 1 : max(end - 1, 0)].partition(b"=")
        if end <= space or data[end - 1 : end] != b"\n" or not equals:
            raise ValueError("a record has a wrong length")
        name = key.decode(errors="replace")
        if name in _RECORDS:
            if b"\0" in value:
                raise ValueError("a name has a zero byte")
            found[name] = value.decode(errors="surrogateescape")
        at = end
    # One without a value leaves what the header says.
    return {name: kept for name, kept in found.items() if kept}
