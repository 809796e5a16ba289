"""What a runtime image has no use for: each kind, and paths that only look like it."""

import time

import pytest
from image_makers import classic, file, image, layer, made, whiteout

from layerlab.image import clutter
from layerlab.image.layers import on_base
from layerlab.image.tree import Tree

SITE = "usr/local/lib/python3.11/site-packages"
VENV = "app/.venv/lib/python3.12/site-packages"
DEBIAN = "usr/lib/python3/dist-packages"


def kinds(*paths: str) -> dict[str, str]:
    """The kind of each path that is of one, by the path."""
    found = {}
    for path in paths:
        one = image(classic(made(layer(file(path, 5)))))
        for row in clutter.find(one, Tree(below.changeset for below in one.layers)):
            assert (row.bytes, row.files, row.example) == (5, 1, f"/{path}")
            found[path] = row.kind
    return found


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        (
            "package cache",
            *[["root/.cache/pip/http-v2/a/b", ".cache/uv/x", "home/app/.cache/pypoetry/a/b"]],
        ),
        ("package cache", ["root/.npm/_cacache/x", "usr/local/share/.cache/yarn/v6/x"]),
        (
            "apt lists and archives",
            ["var/lib/apt/lists/deb.debian.org_x_Packages", "var/cache/apt/pkgcache.bin"],
        ),
        ("apt lists and archives", ["var/cache/apt/archives/gcc_12.deb"]),
        ("version control", [".git/HEAD", "app/.git/objects/pack/x", "app/.hg/a", "x/.svn/b"]),
        (
            "compilers and headers",
            [
                *("usr/bin/gcc", "usr/bin/x86_64-linux-gnu-gcc-12", "usr/bin/g++-12", "bin/cc"),
                *("usr/bin/make", "usr/bin/ld.bfd", "usr/bin/arm-linux-gnueabihf-as"),
                *("usr/lib/gcc/x86_64-linux-gnu/12/cc1", "usr/libexec/gcc/x/13/cc1plus"),
                *("usr/include/stdio.h", "usr/local/include/python3.11/Python.h"),
                *("usr/lib/x86_64-linux-gnu/libc.a", "usr/local/go/bin/go", "usr/bin/lto-dump-12"),
                *(
                    "root/.cargo/bin/rustc",
                    "usr/local/cargo/bin/x",
                    "home/app/.rustup/toolchains/x",
                ),
            ],
        ),
        (
            "bytecode of build tools",
            [
                *(f"{SITE}/pip/__pycache__/x.pyc", f"{SITE}/pip/_internal/cli/__pycache__/x.pyc"),
                *(f"{VENV}/setuptools/__pycache__/x.pyc", f"{DEBIAN}/wheel/__pycache__/x.pyc"),
            ],
        ),
        (
            "tests of packages",
            [
                *(f"{SITE}/numpy/tests/test_a.py", f"{SITE}/numpy/core/tests/data/x.bin"),
                *(f"{VENV}/tornado/test/x.py", f"{SITE}/numpy/testing/tests/x.py"),
            ],
        ),
        ("what tests and tools leave", ["app/.pytest_cache/v/x", ".mypy_cache/3.11/x", "a/.tox/x"]),
    ],
)
def test_each_kind_is_known_by_its_path(kind: str, paths: list[str]) -> None:
    assert kinds(*paths) == dict.fromkeys(paths, kind)


def test_paths_that_only_look_like_it_are_left_alone() -> None:
    assert not kinds(
        *("root/.cache/huggingface/model", "app/.cache/pipeline/x", "app/cache/pip/x"),
        *("root/.cache/pip", "app/pip/http/x", "app/_cacache/x"),
        *("var/lib/apt/extended_states", "var/lib/dpkg/status", "app/var/lib/apt/lists/x"),
        *("app/.github/workflows/ci.yml", "app/.gitignore", "app/git/x", "usr/lib/git-core/git"),
        *("usr/bin/makepasswd", "usr/bin/gccgo-like", "usr/bin/basename", "usr/bin/ldd"),
        *("usr/bin/ascii", "usr/bin/cpp-thing", "app/bin/make", "usr/bin/makefile/x"),
        *("usr/lib/x86_64-linux-gnu/libc.so.6", "app/libx.a", "opt/include/x.h"),
        *("usr/share/include/x", "usr/lib/go/x", "app/usr/include/x.h"),
        *(f"{SITE}/pip/main.py", f"{SITE}/pipdeptree/__pycache__/x.pyc"),
        *("app/pip/__pycache__/x.pyc", f"{SITE}/fastapi/__pycache__/x.pyc"),
        *("app/tests/test_main.py", "tests/x", "app/src/pkg/tests/x", f"{SITE}/test_x.py"),
        # What packages import themselves.
        *(f"{SITE}/numpy/testing/__init__.py", f"{SITE}/django/test/client.py"),
        *(f"{SITE}/fastapi/testclient.py", f"{SITE}/pytests/x.py", f"{SITE}/a/latest/x"),
        *("app/.pytest_cache_of_mine/x", "app/tox/x"),
    )


def test_an_apps_own_folder_of_tests_is_none_but_that_of_a_package_in_it_is() -> None:
    assert [*kinds("app/tests/x.py", f"{VENV}/pkg/tests/x.py")] == [f"{VENV}/pkg/tests/x.py"]


def test_clutter_is_what_is_visible_and_whose_it_is() -> None:
    base = layer(file("usr/bin/gcc", 100), file("var/cache/apt/x", 7), file(".git/empty"))
    own = layer(
        file("usr/include/a.h", 30), file("usr/include/b.h", 300), whiteout("var/cache/apt")
    )
    one = image(classic(made(base, own)))
    one = on_base(one, "base:1", [one.layers[0].changeset.digest])
    [found] = clutter.find(one, Tree(below.changeset for below in one.layers))
    assert found.kind == "compilers and headers"
    assert (found.bytes, found.files, found.own_bytes, found.own_files) == (430, 3, 330, 2)
    assert found.example == "/usr/include/b.h"
    assert "first stage" in found.advice


def test_every_kind_has_advice_and_a_name_of_its_own() -> None:
    assert len({kind.name for kind in clutter.KINDS}) == len(clutter.KINDS)
    assert all(kind.advice for kind in clutter.KINDS)


def test_a_path_that_is_made_to_take_long_does_not() -> None:
    hostile = [
        *("site-packages/" * 1_000 + "x", "a/" * 5_000, ".git" * 3_000, "a/.cache/" * 1_500 + "x"),
        *("site-packages/" + "a/" * 5_000 + "tests", "usr/bin/" + "a-linux-gnu" * 1_000),
        *("usr/lib/" + "a-" * 5_000 + "/lib" + "a." * 3_000, "\n" * 9_000),
    ]
    begun = time.perf_counter()
    assert not kinds(*hostile)
    assert time.perf_counter() - begun < 2
