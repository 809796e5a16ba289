"""The report: one file that needs nothing else, of a recorded run and of one full of markup."""

import fcntl
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import hostile
import pytest
import recorded

from layerlab.chapters import chapter_of
from layerlab.folders import write_record
from layerlab.show import markdown, report
from layerlab.show.anchor import anchor
from layerlab.show.chapter import Chapter
from layerlab.show.report import MOST_BYTES, Fact, html
from layerlab.show.section import Section
from layerlab.show.tables import table


class Reader(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def every(self, name: str) -> Iterator[str]:
        """The values of an attribute."""
        return (value for _, attrs in self.tags if (value := attrs.get(name)) is not None)


@pytest.fixture(scope="module")
def page() -> str:
    """Of the recorded run."""
    facts = [Fact("engine", "Docker Engine 28.5.2")]
    return html("A run", "Three experiments.", recorded.chapters(), facts, recorded.samples(), ())


@pytest.fixture(scope="module")
def bad_page() -> str:
    """Of a run full of markup."""
    return hostile.page()


@pytest.mark.parametrize("name", ["page", "bad_page"])
def test_a_page_fetches_and_runs_nothing(name: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(name)
    read = Reader(text)
    used = {tag for tag, _ in read.tags}
    assert not used & {"script", "link", "img", "iframe", "object", "form", "base", "image"}
    assert "default-src 'none'" in next(read.every("content"))
    assert all(to.startswith("#") for to in [*read.every("href"), *read.every("xlink:href")])
    assert not [a for _, attrs in read.tags for a in attrs if a.startswith("on") or a == "src"]
    assert len(re.findall(r"<style", text)) == 1
    assert len(text.encode()) < MOST_BYTES


@pytest.mark.parametrize("name", ["page", "bad_page"])
def test_every_link_has_its_place_and_every_place_one_name(
    name: str, request: pytest.FixtureRequest
) -> None:
    read = Reader(request.getfixturevalue(name))
    places = list(read.every("id"))
    links = {to[1:] for tag, attrs in read.tags if tag == "a" and (to := attrs["href"])}
    assert links <= set(places)
    outside = [tag for tag, attrs in read.tags if "aria-labelledby" in attrs]
    assert outside
    assert set(read.every("aria-labelledby")) <= set(places)
    # What a figure's parts are called is matplotlib's: the same shape has the same name.
    own = [place for place in places if not re.fullmatch(r"[a-z]{1,2}[0-9a-f]{8,10}|C\d.*", place)]
    assert len(own) == len(set(own))


def test_question_and_answer_stand_above_the_tables(page: str) -> None:
    for chapter in recorded.chapters():
        read = Reader(page[page.index("<main>") :])
        asked = read.text.index(chapter.question)
        answered = read.text.index(chapter.answer.replace("`", ""))
        assert asked < answered < read.text.index(chapter.sections["html"][0].title)


def test_each_variant_in_a_table_leads_to_its_samples(page: str) -> None:
    place = anchor("samples", "layer-cache", "cache-ordered")
    assert f'<th scope="row"><a href="#{place}">cache-ordered</a></th>' in page
    at = page.index(f'id="{place}"')
    rows = page[at : page.index("</table>", at)]
    wall = [s for s in recorded.samples() if s.variant == "cache-ordered" and s.metric == "wall"]
    for one in wall:
        assert f'<td class="n">{one.value:,.3f}</td><td>s</td><td>yes</td>' in rows


def test_a_void_sample_is_shown_with_its_reason() -> None:
    first, *rest = recorded.samples()
    void = replace(first, invalid="a step was cached")
    text = Reader(html("t", "h", (), (), [void, *rest], ())).text
    assert "void: a step was cached" in text
    assert re.search(r"\d+ samples, 1 void", text)


def test_what_comes_from_outside_is_text(bad_page: str) -> None:
    text = Reader(bad_page).text
    assert "{{ 7*7 }}" in text
    assert "49" not in re.sub(r"[\d.,#-]{3,}", "", text)
    assert text.count(hostile.SCRIPT) >= 8
    # Marks that turn text around, and a terminal's codes, are shown as what they are.
    assert not re.search("[\u202e\u2066\x1b]", text)
    assert "\\x202e" in text


def test_a_picture_has_a_name_and_the_colours_of_the_page(page: str) -> None:
    figures = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
    assert len(figures) >= 4
    for figure in figures:
        assert figure.startswith('<svg role="img"')
        assert "<title>" in figure
        assert "var(--ink)" in figure
        assert "#222222" not in figure


def test_any_number_of_variants_stays_small_and_says_what_is_left_out() -> None:
    names = [f"{'a long name of a variant ' * 3}{number}" for number in range(800)]
    rows = [[name, *(["1.00 s 2/3"] * 5)] for name in names]
    heads = ["variant", "cold", "a", "b", "c", "d"]
    section = Section("all", table(rows, heads, "html", left=(0,)), tuple(names))
    more = [replace(section, title=str(n), on_request="steps") for n in range(5)]
    chapter = Chapter("layer-cache", "q?", "a.", {"html": (section, *more)}, ())
    first = recorded.samples()[0]
    samples = [replace(first, variant=name, round=n) for name in names for n in range(20)]
    text = html("t", "h", [chapter] * 3, (), samples, ())
    assert len(text.encode()) < MOST_BYTES
    assert "So that this page stays small" in text
    assert "more rows are left out" in text
    assert "more variants are in the record" in text


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_stands_out_in_light_and_dark() -> None:
    """By WCAG 2.2, 1.4.3: at least 4.5."""
    css = Path(report.__file__).with_name("page").joinpath("report.css").read_text()
    themes = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    assert len(themes) == 3
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", theme))
        for paper in ("paper", "wash"):
            for ink in ("ink", "soft", "link", "void"):
                dark, light = sorted(_luminance(colours[name]) for name in (paper, ink))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


def test_markdown_says_the_same_and_is_cut_between_its_parts() -> None:
    chapters = recorded.chapters()
    parts = markdown.blocks(chapters, {}, {"student": "it <failed>"}, [])
    text = markdown.within(parts, markdown.STEP_BYTES)
    assert "## What does a rebuild reuse, and what does an edit cost?" in text
    assert "### student: failed\n\n    it <failed>" in text
    assert "![" not in text
    short = markdown.within(parts, 5000)
    assert len(short.encode()) <= 5000
    assert short.endswith("GitHub takes 1 MiB for a step's summary.\n")
    assert text.startswith(short[: short.rindex("\n\n")])
    assert markdown.within(parts, 10) == ""


def test_markdown_runs_no_markup() -> None:
    chapter = hostile.chapters()[0]
    text = "\n\n".join(markdown.blocks([chapter], {}, {hostile.NAME: hostile.TEXT}, []))
    code = re.compile(r"^    .*$", re.MULTILINE)
    assert not re.search(r"(?<!\\)<(script|img|svg)", code.sub("", text))


def test_a_file_of_the_record_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    path.chmod(0o644)
    write_record(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    dead, living = tmp_path / ".report.html-dead", tmp_path / ".report.html-living"
    dead.touch()
    with living.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_record(tmp_path / "report.html", "new")
    assert sorted(tmp_path.iterdir()) == [living, tmp_path / "report.html"]


def test_a_chapter_without_room_for_its_pictures_says_so(tmp_path: Path) -> None:
    whole = chapter_of("layer-cache", hostile.rebuilds(), 80, tmp_path)
    bare = chapter_of("layer-cache", hostile.rebuilds(), 80, tmp_path / "nowhere")
    assert whole.figures
    assert not bare.figures
    for style, sections in bare.sections.items():
        assert sections[:-1] == whole.sections[style]
        assert "can't be drawn: " in sections[-1].notes[0]
        assert "No such file or directory" in sections[-1].notes[0]
