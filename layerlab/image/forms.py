"""Forms of a value: what programs make of it when they encode the text that it is in."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import quote

#: Of an encoded form: what is left of base64 between unknown neighbours may be shorter than the value.
SHORTEST_FORM = 6
AS_IS, BASE64, URL, JSON, HEX, UTF16 = (
    "as is",
    "base64",
    "URL-encoded",
    "JSON-escaped",
    "hex",
    "UTF-16",
)
#: What tools leave as it is when they encode for a URL: nothing; a path; JavaScript's two functions.
_URL_SAFE = ("", "/", "!'()*", "!#$&'()*+,/:;=?@")
_ESCAPED = re.compile(r"(?<!\\)((?:\\\\)*\\u)([0-9a-f]{4})")


def forms(value: bytes) -> dict[bytes, str]:
    """What a value looks like in an image: bytes to the name of the form, the value as it is among them.

    Base64 is what can be told of it whatever comes before and after the value.
    """
    found = {value: AS_IS}

    def add(form: str, encoded: Iterable[bytes]) -> None:
        for one in encoded:
            if len(one) >= SHORTEST_FORM:
                found.setdefault(one, form)

    add(URL, _url(value))
    add(JSON, _json(value))
    add(BASE64, _base64(value))
    add(HEX, (value.hex().encode(), value.hex().upper().encode()))
    with suppress(UnicodeDecodeError):  # no text
        add(UTF16, [value.decode().encode("utf-16-le")])
    return found


def _base64(value: bytes) -> Iterator[bytes]:
    for before in range(3):
        # A character stands for 6 bits; those that also hold a neighbour's bits are left out.
        whole = slice(-(-before * 8 // 6), (before + len(value)) * 8 // 6)
        encoded = base64.b64encode(bytes(before) + value)[whole]
        yield encoded
        yield encoded.replace(b"+", b"-").replace(b"/", b"_")


def _url(value: bytes) -> Iterator[bytes]:
    for safe in _URL_SAFE:
        encoded = quote(value, safe=safe)
        for one in (encoded, encoded.replace("%20", "+")):
            yield one.encode()
            yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), one).encode()


def _json(value: bytes) -> Iterator[bytes]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    for ascii_only in (False, True):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        # Go's encoder, and so Docker's, also escapes what is markup in HTML.
        markup = once.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        for one in (once, markup, once.replace("/", "\\/")):
            yield one.encode()
            yield _ESCAPED.sub(lambda match: match[1] + match[2].upper(), one).encode()
