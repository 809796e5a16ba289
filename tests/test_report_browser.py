"""The report in a real Chromium: a recorded run, and one in which everything is full of markup."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chromium
import hostile
import pytest
import recorded
from playwright.sync_api import Browser, Error, Page, sync_playwright

from layerlab.errors import LabError
from layerlab.show.report import Fact, html

pytestmark = pytest.mark.browser

#: The width of A4 less the margins of the page's own @page, in CSS pixels (96 an inch).
PAPER = round((210 - 2 * 14) / 25.4 * 96)
#: What sticks out of the page, or loses a part of itself: all that does not scroll must fit.
CUT = """
() => {
    const wide = document.documentElement.clientWidth;
    return [...document.body.querySelectorAll("*")].filter(one => {
        if (one.closest("figcaption") || one.parentElement.closest(".scroll")) return false;
        const box = one.getBoundingClientRect();
        const out = box.width > 0 && (box.left < -0.5 || box.right > wide + 0.5);
        const scrolls = one.classList.contains("scroll");
        return out || (!scrolls && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0);
    }).map(one => one.outerHTML.slice(0, 200));
}
"""
#: Of each box that scrolls: whether the last column of what is in it comes into view.
REACHED = """
() => [...document.querySelectorAll(".scroll")].filter(box => box.clientWidth > 0).map(box => {
    box.scrollLeft = box.scrollWidth;
    const inside = box.firstElementChild.getBoundingClientRect();
    const edge = box.getBoundingClientRect();
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    const seen = inside.right <= edge.right + 1 && box.tabIndex === 0 && scrolls;
    box.scrollLeft = 0;
    return seen;
})
"""
OPEN = "() => document.querySelectorAll('details').forEach(one => one.open = true)"


@dataclass
class Seen:
    """A page, and what it did that a report must not do."""

    page: Page
    done: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium with a user folder of its own; without one every test fails."""
    with sync_playwright() as playwright:
        try:
            program = str(chromium.program())
            running = playwright.chromium.launch(
                executable_path=program, headless=True, args=chromium.FLAGS
            )
        except LabError as error:
            pytest.fail(str(error), pytrace=False)
        except Error as error:
            pytest.fail(f"{program} does not start: {error.message}", pytrace=False)
        yield running
        running.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages, as files."""
    facts = [Fact("engine", "Docker Engine 28.5.2, API 1.51, overlay2 image store")]
    chapters, samples = recorded.chapters(), recorded.samples()
    pages = {
        "recorded": html("A run", "Three labs.", chapters, facts, samples, ()),
        "hostile": hostile.page(),
    }
    folder = tmp_path_factory.mktemp("pages")
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


@pytest.fixture(params=["recorded", "hostile"])
def opened(
    request: pytest.FixtureRequest, browser: Browser, files: dict[str, Path]
) -> Iterator[Any]:
    """Opens a page at a width, in a colour scheme."""
    contexts = []

    def open_it(width: int, scheme: Any = "light") -> Seen:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        seen = Seen(context.new_page())
        page, done = seen.page, seen.done
        url = files[request.param].as_uri()
        page.on("console", lambda message: done.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: done.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (done.append("dialog"), dialog.dismiss()))
        page.on("request", lambda one: done.append(one.url) if one.url != url else None)
        page.goto(url)
        return seen

    yield open_it
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_all_of_it_can_be_seen(opened: Any, width: int, scheme: str) -> None:
    seen: Seen = opened(width, scheme)
    for step in ("closed", "open"):
        if step == "open":
            seen.page.evaluate(OPEN)
        wide, room = seen.page.evaluate(
            "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= room
        assert seen.page.evaluate(CUT) == []
        assert all(seen.page.evaluate(REACHED))
    tables = seen.page.locator("table")
    assert tables.count() > 2
    assert all(table.is_visible() for table in tables.all())
    assert seen.done == []


def test_dark_is_dark_in_the_pictures_too(opened: Any) -> None:
    found = []
    for scheme in ("light", "dark"):
        page = opened(1280, scheme).page
        paper = page.locator("figure svg path").first.evaluate("one => getComputedStyle(one).fill")
        text = page.locator("figure svg text").first.evaluate("one => getComputedStyle(one).fill")
        body = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert paper == body
        found.append((paper, text))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_a_link_opens_the_samples(opened: Any) -> None:
    page = opened(1280).page
    link = page.locator("section.chapter tbody a[href^='#samples-']").first
    place = link.get_attribute("href")[1:]
    target = page.locator(f"[id='{place}']")
    assert not target.is_visible()
    link.click()
    target.wait_for(state="visible")


def test_nothing_from_outside_becomes_an_element(browser: Browser, files: dict[str, Path]) -> None:
    page = browser.new_page()
    page.goto(files["hostile"].as_uri())
    assert page.locator("script, img, [onload], [onerror], iframe").count() == 0
    assert page.locator("style").count() == 1
    page.evaluate(OPEN)
    text = page.inner_text("body")
    assert hostile.SCRIPT in text
    assert "{{ 7*7 }}" in text
    assert "\\x202e" in text
    # In pictures, too.
    assert "<img src=x" in "".join(page.locator("figure svg").all_text_contents())
    page.close()


def test_paper_has_all_of_it(opened: Any, tmp_path: Path) -> None:
    """What is folded is unfolded, and no table is wider than the paper."""
    seen: Seen = opened(PAPER)
    seen.page.emulate_media(media="print")
    assert seen.page.evaluate(CUT) == []
    too_wide = """() => [...document.querySelectorAll(".scroll")]
        .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.innerText.slice(0, 300))"""
    assert seen.page.evaluate(too_wide) == []
    folded = """() => [...document.querySelectorAll("details td, details th")]
        .filter(one => one.getBoundingClientRect().height === 0 ||
                !one.checkVisibility({contentVisibilityAuto: true})).length"""
    assert seen.page.evaluate(folded) == 0
    pdf = seen.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF-")
    assert seen.done == []
