"""A mark changes a file's content, and nothing that the file means."""

import ast
import json
import tomllib

import pytest
import yaml

from layerlab.build.mark import can_mark, marked
from layerlab.errors import LabError

ONE, TWO = "layerlab source-edit 20261127-old-1", "layerlab source-edit 20261127-new-1"


@pytest.mark.parametrize(
    ("path", "content", "ends"),
    [
        ("main.py", b"print(1)", b"\n# %s\n"),
        ("src/server.js", b"run()\n", b"\n// %s\n"),
        ("cmd/x/main.go", b"package main\n", b"\n// %s\n"),
        ("go.mod", b"module x\n", b"\n// %s\n"),
        ("src/main.rs", b"fn main() {}\n", b"\n// %s\n"),
        ("index.html", b"<p>", b"\n<!-- %s -->\n"),
        ("style.css", b"a{}", b"\n/* %s */\n"),
        ("schema.sql", b"select 1;", b"\n-- %s\n"),
        ("requirements-dev.txt", b"six", b"\n# %s\n"),
        ("requirements/base.txt", b"six", b"\n# %s\n"),
        ("App.csproj", b"<Project/>", b"\n<!-- %s -->\n"),
        ("bin/start", b"#!/bin/sh\nrun\n", b"\n# %s\n"),
        ("bin/serve", b"#!/usr/bin/env node\nrun()\n", b"\n// %s\n"),
        ("index.php", b"<?php run();\n", b"\n// %s\n"),
        ("page.php", b"<?php run() ?>\n<p>", b"<?php // %s ?>"),
        ("Makefile", b"all:\n", b"\n# %s\n"),
        ("yarn.lock", b"# yarn lockfile v1\n", b"\n# %s\n"),
    ],
)
def test_a_comment_in_the_files_own_language(path: str, content: bytes, ends: bytes) -> None:
    assert marked(content, path, ONE) == content + ends.replace(b"%s", ONE.encode())


@pytest.mark.parametrize(
    "path", ["package.json", "package-lock.json", "composer.lock", "Pipfile.lock"]
)
def test_json_stays_valid_and_is_unique(path: str) -> None:
    content = b'{\n  "name": "app"\n}\n'
    one, two = marked(content, path, ONE), marked(content, path, TWO)
    assert one != two
    assert json.loads(one) == json.loads(two) == json.loads(content)
    # A second mark takes the place of the first.
    assert marked(one, path, TWO) == two
    assert len(one) == len(two)


def test_python_toml_and_yaml_are_read_as_before() -> None:
    assert ast.unparse(ast.parse(marked(b"x = 1", "a.py", ONE))) == "x = 1"
    text = '[project]\nname = "app"'
    assert tomllib.loads(marked(text.encode(), "uv.lock", ONE).decode()) == tomllib.loads(text)
    assert yaml.safe_load(marked(b"a: [1, 2]", "pnpm-lock.yaml", ONE)) == {"a": [1, 2]}


def test_go_sum_gets_a_blank_line() -> None:
    content = b"example.org/x v1.0.0 h1:abc=\n"
    lines = marked(content, "go.sum", ONE).decode().splitlines()
    assert [line.split() for line in lines] == [content.decode().split(), []]


@pytest.mark.parametrize("path", ["data.bin", "notes.txt", "image.png", "LICENSE"])
def test_what_has_no_known_comment_is_refused_in_one_sentence(path: str) -> None:
    assert not can_mark(b"x", path)
    with pytest.raises(LabError, match=f"{path}: layerlab knows no comment .* --edit"):
        marked(b"x", path, ONE)
