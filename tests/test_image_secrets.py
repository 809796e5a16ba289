"""Secrets in hand-made images: every place, every form, and nothing of a value in what is told."""

import base64
import gzip
import io
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from image_makers import (
    Entry,
    Made,
    classic,
    cut,
    file,
    folder,
    layer,
    link,
    made,
    modern,
    oci,
    opaque,
    recorded,
    symlink,
    whiteout,
    zstd,
)

from layerlab.cli import dispatch
from layerlab.errors import LabError
from layerlab.image import manifest
from layerlab.image.forms import forms
from layerlab.image.needles import MASK, Match, Needles, read_patterns, read_values
from layerlab.image.reader import read
from layerlab.image.scan import Scan
from layerlab.image.secrets import Finding, Search, Searched
from layerlab.labs.image_secrets import MOST_SHOWN, lines
from layerlab.text import plain

VALUE = 'hunter2/<ä&"+ Token'
SIMPLE = "hunter2-token"


@dataclass(frozen=True)
class Configured(Made):
    """An image with more in its configuration."""

    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> bytes:
        return json.dumps({**json.loads(super().config), **self.more}).encode()


def search(
    data: bytes | Iterable[bytes], values: Iterable[str] = (SIMPLE,), patterns: str = ""
) -> Searched:
    needles = read_values("\n".join(values).encode()) if values else []
    needles += read_patterns(patterns.encode()) if patterns else []
    watch = Search(Needles(needles))
    archive = read(
        [data] if isinstance(data, bytes) else data, "saved.tar", compress=False, watch=watch
    )
    return watch.searched(manifest.images(archive, "saved.tar"))


def found(*args: Any, **options: Any) -> list[Finding]:
    return list(search(*args, **options).findings)


def in_layer(*entries: Entry, values: Iterable[str] = (SIMPLE,)) -> list[Finding]:
    return found(modern(made(layer(*entries))), values)


FORMS = [
    ("as is", VALUE.encode()),
    ("URL-encoded", quote(VALUE).encode()),
    ("URL-encoded", quote_plus(VALUE).encode()),
    ("URL-encoded", quote(VALUE, safe="").lower().replace("token", "Token").encode()),
    ("JSON-escaped", json.dumps({"k": VALUE}).encode()),
    ("JSON-escaped", json.dumps({"k": VALUE}, ensure_ascii=False).encode()),
    ("JSON-escaped", json.dumps(VALUE).replace("<", "\\u003c").replace("&", "\\u0026").encode()),
    ("hex", VALUE.encode().hex().encode()),
    ("hex", VALUE.encode().hex().upper().encode()),
    ("UTF-16", VALUE.encode("utf-16-le")),
    *(("base64", base64.b64encode(b"u:p"[:n] + VALUE.encode() + b"\n")) for n in range(4)),
    *(("base64", base64.urlsafe_b64encode(b"u:p"[:n] + VALUE.encode())) for n in range(4)),
]


@pytest.mark.parametrize(("form", "content"), FORMS)
def test_a_value_is_found_in_each_form(form: str, content: bytes) -> None:
    [one] = in_layer(file("app/x", b"before " + content + b" after"), values=[VALUE])
    assert (one.place, one.form, one.where, one.matches) == ("layer", form, "app/x", 1)
    assert 512 + len("before ") <= one.offset < 512 + len(b"before " + content)


def test_short_values_are_not_looked_for_where_chance_would_find_them() -> None:
    assert set(forms(b"abcd").values()) == {"as is", "hex", "UTF-16"}
    assert min(map(len, forms(b"abcd"))) == 4
    assert forms(b"\xff\xfe\xfd\xfc\xfb")[b"\xff\xfe\xfd\xfc\xfb"] == "as is"


def test_nothing_is_found_where_nothing_is() -> None:
    image = made(layer(file("a", b"hunter2-toke"), file("b", b"n and hunter3-token")))
    searched = search(modern(image), [SIMPLE, VALUE])
    assert searched.findings == ()
    assert (searched.layers, searched.files, searched.values) == (1, 2, 2)
    assert searched.forms == len(forms(SIMPLE.encode())) + len(forms(VALUE.encode()))
    text = " ".join(lines("made:1", searched, 80))
    assert "nothing found in 1 layer (" in text
    assert "looked for 2 values in" in text


@pytest.mark.parametrize("pack", [modern, classic, oci, lambda image: oci(image, pack=zstd)])
def test_layers_and_configurations_of_every_kind_of_archive(pack: Any) -> None:
    image = Configured(
        (layer(file(".env", f"K={SIMPLE}".encode())),),
        more={"config": {"Env": ["A=b", f"DB={SIMPLE}"], "Labels": {f"x.{SIMPLE}": "y"}}},
    )
    first, second, third = found(pack(image))
    assert (first.place, first.where) == ("configuration", "config.Env[1] (DB)")
    assert (second.place, second.where) == ("configuration", f"config.Labels.x.{MASK}")
    assert (third.place, third.where, third.offset) == ("layer", ".env", 514)


def test_a_gzipped_archive_and_two_images_in_one() -> None:
    one = layer(file("a", SIMPLE.encode()))
    data = gzip.compress(modern(made(one, tag="a:1"), made(one, layer(file("b")), tag="b:1")))
    assert [(f.image, f.layer) for f in found(data)] == [("a:1", 1), ("b:1", 1)]


def test_the_history_is_told_by_lines_with_its_value_masked() -> None:
    history = (
        (f"ARG T={SIMPLE}", False),
        (f"RUN |1 T={SIMPLE} /bin/sh -c use $T # buildkit", True),
        (f"/bin/sh -c #(nop) ENV T={SIMPLE}", False),
    )
    one, two, three = found(modern(made(layer(file("a")), history=history)))
    assert {one.place, two.place, three.place} == {"history"}
    assert (one.where, one.instruction) == ("line 1", f"ARG T={MASK}")
    assert (two.where, two.instruction) == ("line 2", "RUN use $T")
    assert (three.where, three.instruction) == ("line 3", f"ENV T={MASK}")


def test_manifests_and_attestations() -> None:
    image = made(layer(file("a")), tag=f"{SIMPLE}:1")
    findings = found(oci(image, nested=True))
    assert {one.place for one in findings} == {"manifest", "attestation"}
    [attested] = [one for one in findings if one.place == "attestation"]
    assert attested.matches == 200
    assert attested.where.endswith(": x")
    assert any("annotations" in one.where for one in findings if one.place == "manifest")


def test_a_provenance_that_a_real_engine_saved() -> None:
    findings = found(recorded("26.1-containerd-attested"), ["mobyproject.org/buildkit"])
    assert {one.place for one in findings} == {"attestation"}
    assert f"predicate.metadata.https://{MASK}@v1#metadata" in findings[-1].where


def test_what_is_hidden_is_still_found_and_told_with_who_hides_it() -> None:
    secret = SIMPLE.encode()
    history = tuple((text, True) for text in ("COPY . .", f"RUN rm {SIMPLE}", "RUN tidy"))
    below = layer(
        file("gone", secret),
        file("kept", secret),
        file("written", secret),
        file("dir/in", secret),
        file("name1", secret),
        link("name2", "name1"),
        symlink("way", SIMPLE),
    )
    middle = layer(whiteout("gone"), file("written", b"new"), whiteout("name1"))
    top = layer(opaque("dir"), whiteout("way"))
    findings = found(modern(made(below, middle, top, history=history)))
    told = {one.where: one.hidden_by for one in findings if one.place == "layer"}
    assert told == {"gone": 2, "kept": 0, "written": 2, "dir/in": 3, "name1": 0, "way": 3}
    [gone] = [one for one in findings if one.where == "gone"]
    assert gone.instruction == "COPY . ."
    assert gone.hidden_by_instruction == f"RUN rm {MASK}"


def test_headers_padding_and_the_end_of_a_layer() -> None:
    secret = SIMPLE.encode()
    attributes = file("x", b"1", pax_headers={"SCHILY.xattr.user.key": SIMPLE})
    [one] = in_layer(attributes)
    assert (one.where, one.part) == ("x", "header")
    [one] = in_layer(file("a"), folder(f"d/{SIMPLE}"), file("b"))
    assert (one.where, one.part) == (f"d/{MASK}", "header")
    stream = bytearray(layer(file("a", b"12"), file("b")))
    stream[600 : 600 + len(secret)] = secret
    [padding] = found(modern(made(bytes(stream))))
    assert (padding.where, padding.part) == ("a", "padding")
    # What follows the end of the archive is pulled, too.
    [after] = found(modern(made(layer(file("a")) + secret)))
    assert (after.where, after.part) == ("", "end")


def test_a_name_that_a_header_cuts_in_two() -> None:
    value = f"{'p' * 60}/{'n' * 40}"
    entry = file(f"{'d' * 50}/{value}")
    assert value.encode() not in layer(entry, format=0)
    [one] = found(modern(made(layer(file("a"), entry, format=0))), [value])
    assert (one.part, one.where, one.offset) == ("header", f"{'d' * 50}/{MASK}", 512)


def test_overlapping_values_and_patterns() -> None:
    findings = found(
        modern(made(layer(file("a", b"key=hunter2-token-9 key=abc")))),
        [SIMPLE, "token-9", "hunter2-token"],
        "# keys\n\nkey=[a-z0-9-]+\n",
    )
    assert {(one.needle.label, one.matches) for one in findings} == {
        ("value 1 (13 characters)", 1),
        ("value 2 (7 characters)", 1),
        ("value 3 (13 characters)", 1),
        ("pattern 1 (line 3)", 2),
    }


def test_a_pattern_that_begins_in_what_builders_add_is_masked() -> None:
    history = ((f"RUN |1 V=1 /bin/sh -c curl -u {SIMPLE} x # buildkit", True),)
    image = modern(made(layer(file("a")), history=history))
    [one] = found(image, (), "-c curl -u \\S+")
    assert SIMPLE not in repr(one)


# --- spanning pieces ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 512, 1000])
def test_pieces_change_nothing(size: int) -> None:
    image = made(layer(file("a", b"x" * 700 + SIMPLE.encode() * 2), file("b", VALUE.encode())))
    expected = search(modern(image), [SIMPLE, VALUE], "hun[a-z]+2.")
    assert len(expected.findings) == 4
    assert search(cut(modern(image), size), [SIMPLE, VALUE], "hun[a-z]+2.") == expected


@given(
    data=st.text("abAB-=\n", max_size=300).map(str.encode),
    block=st.integers(1, 40),
    size=st.sampled_from([1, 7, 512]),
)
def test_blocks_change_nothing(data: bytes, block: int, size: int) -> None:
    needles = Needles(
        [*read_values(b"abab\nbaba\naB-="), *read_patterns(b"(?<=a)b+\nA+(?!B)\n(?m:^a)")]
    )
    matches: list[Match] = []
    scan = Scan(needles, matches.append, block=block)
    for piece in cut(data, size):
        scan.write(piece)
    scan.close()
    assert sorted(matches, key=repr) == sorted(needles.find(data), key=repr)


@settings(max_examples=40)
@given(value=st.text(min_size=5, max_size=40).map(str.split).map("_".join), n=st.integers(0, 3))
def test_base64_is_found_whatever_is_around(value: str, n: int) -> None:
    assume(len(value) >= 5)
    data = base64.b64encode(b"u:p"[:n] + value.encode() + b"end"[n:])
    assert "base64" in {one.form for one in Needles(read_values(value.encode())).find(data)}


# --- nothing of a value in what is told ----------------------------------------------------------


def secret_bearing(value: str) -> bytes:
    """An image that has a value wherever text can be shown from."""
    history = (
        (f"COPY {value} /{value}", True),
        (f"RUN rm -r /{value} {quote(value, safe='')}", True),
    )
    return modern(
        Configured(
            (
                layer(folder(value), file(f"{value}/{quote(value, safe='')}", value.encode())),
                layer(whiteout(value)),
            ),
            history=history,
            more={"config": {"Env": [f"{value}={value}"], "Labels": {value: base64_of(value)}}},
        )
    )


def base64_of(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def command(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = dispatch(["secrets", *words])
    told = capsys.readouterr()
    return code, told.out + told.err


@pytest.mark.parametrize(
    "value", [SIMPLE, VALUE.replace("/", "!"), "비밀번호열쇠", "a\x07b\x1b[31mcd"]
)
def test_nothing_of_a_value_is_told(
    value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)  # whose name may be wider
    saved, values = Path("saved.tar"), Path("values")
    saved.write_bytes(secret_bearing(value))
    values.write_text(value)
    code, told = command([str(saved), "--values", str(values)], capsys)
    assert code == 1
    assert "layer 1 (own)" in told
    assert "hidden by layer 2" in told
    assert max(map(len, told.splitlines())) <= 80
    assert not shows(told, value)
    assert not shows(repr(search(saved.read_bytes(), [value])), value)


def shows(told: str, value: str) -> bool:
    """Whether a value is there in any form, also broken over lines or with its controls written out."""
    shapes = {form.decode(errors="replace") for form in forms(value.encode())}
    shapes |= {repr(value)[1:-1], plain(value)}
    return any("".join(shape.split()) in "".join(told.split()) for shape in shapes)


def test_overlapping_values_leave_no_rest() -> None:
    needles = Needles(read_values(b"hunter2-token\ntoken-9-end\nhunter2"))
    assert needles.mask("a hunter2-token-9-end b hunter2") == f"a {MASK} b {MASK}"


def test_what_is_shown_shortened_or_tidied_is_masked_too() -> None:
    tidied = file("a/./hunter2/../hunter2//token", b"hunter2/token")
    outside = file("../../hunter2/token", b"hunter2/token")
    history = (("RUN echo 'hunter2   token'", True), ("RUN hunter2/token", False))
    image = modern(made(layer(tidied, outside), history=history))
    told = repr(search(image, ["hunter2/token", "hunter2 token"]))
    assert "hunter2" not in told


def test_half_a_character_in_a_configuration() -> None:
    image = Configured((layer(file("a")),), more={"config": {"Env": [f"\ud800={SIMPLE}\ud800"]}})
    [one] = found(modern(image))
    assert one.where == "config.Env[0] (\\ud800)"


def test_the_memory_of_layers_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layerlab.labs.images.of_user", lambda: pytest.fail("it is a file"))
    (tmp_path / "saved.tar").write_bytes(secret_bearing(SIMPLE))
    (tmp_path / "values").write_text(SIMPLE)
    words = [str(tmp_path / "saved.tar"), "--values", str(tmp_path / "values")]
    assert command(words, capsys)[0] == 1


def test_a_pattern_masks_what_it_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved, patterns = tmp_path / "saved.tar", tmp_path / "patterns"
    saved.write_bytes(secret_bearing(SIMPLE))
    patterns.write_text("hunter\\d-\\w+")
    code, told = command([str(saved), "--patterns", str(patterns)], capsys)
    assert code == 1
    assert "pattern 1 (line 1)" in told
    assert "hunter" not in told


def test_only_so_many_places_are_told() -> None:
    entries = [file(f"f{number}", SIMPLE.encode()) for number in range(MOST_SHOWN + 5)]
    told = list(lines("x", search(modern(made(layer(*entries)))), 80))
    assert sum(": value 1 (13 characters), as is" in line for line in told) == MOST_SHOWN
    assert "and 5 more places" in told
    assert told[-1] == f"value 1 (13 characters): {MOST_SHOWN + 5} places"


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read_them", "text", "sentence"),
    [
        (read_values, b"", "no value was given"),
        (read_values, b"\n", "line 1 of the values is empty"),
        (read_values, b"abcdef\n\nabcdef\n", "line 2 of the values is empty"),
        (read_values, b"abcdef\r\nqzx\n", "the value on line 2 is shorter than 4 bytes"),
        (read_values, b"x" * 5000, "the value on line 1 is longer than 4,096 bytes"),
        (read_values, b"qzxv\n" * 1001, "1,001 values are more than 1,000"),
        (read_patterns, b"# a\n\n", "no pattern was given"),
        (read_patterns, b"qz\n(qzx", "the pattern on line 2 is no regular expression"),
        (read_patterns, b"qz*|", "the pattern on line 1 matches the empty text"),
        (read_patterns, b"qzx{99999999999}", "the pattern on line 1 is no regular expression"),
        (read_patterns, b"qzxv\n" * 101, "101 patterns are more than 100"),
    ],
)
def test_bad_needles_get_one_sentence(read_them: Any, text: bytes, sentence: str) -> None:
    with pytest.raises(LabError, match=r"\A[^\n]+\Z") as raised:
        read_them(text)
    assert sentence in str(raised.value)
    assert "qz" not in str(raised.value)


def test_only_the_end_of_a_line_is_no_part_of_a_value() -> None:
    values = read_values(b" # a value \t\r\nx\\ny z")
    assert [one.content for one in values] == [b" # a value \t", b"x\\ny z"]


@pytest.mark.parametrize(
    ("words", "stdin", "sentence"),
    [
        (["saved.tar"], None, "no values were given"),
        (["saved.tar"], b"", "no value was given"),
        (["saved.tar", "hunter2-token"], b"", "never written on the command line"),
        (["saved.tar", "--hunter2-token"], b"", "never written on the command line"),
        (["saved.tar", "--values", "hunter2-token"], b"", "--values can't be read (No such file"),
        (["saved.tar", "-", "--patterns", "-"], b"", "can't both come from standard input"),
        (["saved.tar", "-", "--values", "-"], b"", "give one of them"),
        (["./hunter2-token.tar", "-"], b"hunter2-token\n", f"{MASK}.tar: No such file"),
        (["empty.tar", "-"], b"hunter2-token\n", "empty.tar is empty"),
    ],
)
def test_bad_input_of_the_command(
    words: list[str],
    stdin: bytes | None,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAYERLAB_CALLED_FROM", str(tmp_path))
    (tmp_path / "empty.tar").touch()
    source = io.BytesIO(stdin or b"")
    monkeypatch.setattr(
        sys, "stdin", Terminal(source) if stdin is None else io.TextIOWrapper(source)
    )
    code, told = command(words, capsys)
    assert code == 2
    [line] = told.splitlines()
    assert sentence in line
    assert SIMPLE not in line


class Terminal:
    """A standard input that is a terminal."""

    def __init__(self, source: io.BytesIO) -> None:
        self.buffer = self

    def isatty(self) -> bool:
        return True


def test_an_error_that_cuts_a_value_off_shows_nothing_of_it() -> None:
    needles = Needles(read_values(b"hunter2-token-of-mine"))
    assert needles.mask_cut("saved.tar: x/hunter2-token-o") == f"saved.tar: x/{MASK}"
    assert needles.mask_cut("a hunter2-token-of-mine b") == f"a {MASK} b"
    assert "hunter2" not in repr(needles) + repr(vars(needles)["needles"])
