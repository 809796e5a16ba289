"""A mark: a change of a file that alters nothing but its content: a comment, or white space at its end."""

import hashlib
from pathlib import PurePosixPath

from layerlab.errors import LabError
from layerlab.text import plain

#: What begins and ends a comment.
Comment = tuple[str, str]

_HASH, _SLASHES, _DASHES, _SEMICOLON = ("# ", ""), ("// ", ""), ("-- ", ""), ("; ", "")
_PERCENT, _STARS, _ANGLES = ("% ", ""), ("/* ", " */"), ("<!-- ", " -->")
_SUFFIXES: dict[Comment, str] = {
    _HASH: "py pyi pyx rb rake gemspec ru sh bash zsh fish pl pm r jl ex exs nim cr tcl awk mk cmake "
    "yaml yml toml cfg conf env properties tf tfvars hcl nix graphql gql dockerfile coffee ps1 psm1 "
    "gitignore dockerignore bzl",
    _SLASHES: "js mjs cjs jsx ts mts cts tsx go mod rs java kt kts scala groovy gradle c h cc cpp cxx hh "
    "hpp m mm cs fs fsx swift dart zig v proto scss less sass sol d odin",
    _DASHES: "sql lua hs elm adb ads vhdl",
    _SEMICOLON: "ini clj cljs cljc edn lisp el scm rkt asm",
    _PERCENT: "erl hrl tex",
    _STARS: "css",
    _ANGLES: "html htm xml xhtml svg md vue svelte csproj fsproj vbproj props targets xaml astro",
    ("{# ", " #}"): "j2 jinja jinja2 twig",
    ("(* ", " *)"): "ml mli",
    ("<%# ", " %>"): "erb ejs",
}
_BY_SUFFIX = {suffix: kind for kind, all_ in _SUFFIXES.items() for suffix in all_.split()}
_HASH_NAMES = (
    "makefile gemfile pipfile rakefile procfile brewfile dockerfile containerfile justfile .env "
    "cargo.lock poetry.lock uv.lock pdm.lock yarn.lock mix.lock"
)
_BY_NAME = {**dict.fromkeys(_HASH_NAMES.split(), _HASH), "jenkinsfile": _SLASHES}
#: What has no comments, and to which white space at its end means nothing. go.sum: cmd/go skips blank
#: lines (modfetch/fetch.go, readGoSum).
_WHITE_SUFFIXES = ("json", "jsonc", "json5", "ipynb", "webmanifest", "sum")
_WHITE_NAMES = ("pipfile.lock", "composer.lock", "deno.lock", "bun.lock", "flake.lock", ".babelrc")
#: Folders and names of lists of requirements, which are text to everybody else.
_REQUIREMENTS = ("requirement", "constraint")
_SCRIPTS = ("node", "deno", "bun")


def marked(content: bytes, path: str, text: str) -> bytes:
    """A file's content with a mark that holds ``text``; what the file means stays as it was.

    Raises:
        LabError: nothing is known that could be added to such a file without a meaning.
    """
    if _is_white(path):
        # As many bytes for every text, and no two texts alike.
        return content.rstrip() + f"\n{_white(text)}\n".encode()
    if PurePosixPath(path).suffix == ".php":
        inside = content.rfind(b"<?") > content.rfind(b"?>")
        return content + (f"\n// {text}\n" if inside else f"<?php // {text} ?>").encode()
    before, after = _comment(content, path)
    return content + f"\n{before}{text}{after}\n".encode()


def can_mark(content: bytes, path: str) -> bool:
    """Whether :func:`marked` knows what to add to a file."""
    try:
        marked(content, path, "")
    except LabError:
        return False
    return True


def _comment(content: bytes, path: str) -> Comment:
    pure = PurePosixPath(path.lower())
    if found := _BY_NAME.get(pure.name) or _BY_SUFFIX.get(pure.suffix.lstrip(".")):
        return found
    if pure.suffix in (".txt", ".in") and any(word in str(pure) for word in _REQUIREMENTS):
        return _HASH
    if content.startswith(b"#!"):
        first = content.split(b"\n", 1)[0].decode(errors="replace")
        return _SLASHES if any(word in first for word in _SCRIPTS) else _HASH
    raise LabError(
        f"{plain(path)}: layerlab knows no comment for such a file, so it can't edit it without a change "
        "of what it means: name a source file with --edit, a list of dependencies with --deps"
    )


def _is_white(path: str) -> bool:
    pure = PurePosixPath(path.lower())
    return pure.name in _WHITE_NAMES or (
        pure.suffix.lstrip(".") in _WHITE_SUFFIXES and pure.name not in _BY_NAME
    )


def _white(text: str) -> str:
    """64 blanks and tabs: the first bits of the text's sha256."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return f"{number:064b}".translate({ord("0"): " ", ord("1"): "\t"})
