"""Anchors: names of places in a page, made of names that may be anything."""

import hashlib


def anchor(*names: str) -> str:
    """A place's name, of ASCII letters, digits and hyphens alone; different names have different ones."""
    kept = ["".join(c if c.isascii() and c.isalnum() else "-" for c in name) for name in names]
    if all(one == name for one, name in zip(kept, names, strict=True)):
        return "-".join(kept)
    # Two names that differ in what is not kept, such as "a_b" and "a b", are two places.
    unique = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return "-".join([*kept, unique])
