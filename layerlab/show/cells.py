"""Cells: what is in a table that a chapter keeps as HTML, so that a page can lay it out anew."""

from dataclasses import dataclass, replace
from html.parser import HTMLParser


@dataclass(frozen=True)
class Cells:
    """A table's text, without any markup."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    #: Whether a column's numbers stand at its right edge.
    right: tuple[bool, ...]

    def first(self, count: int) -> "Cells":
        """Without the rows after the first ``count``."""
        return replace(self, rows=self.rows[:count])


def read(table: str) -> Cells | None:
    """The cells of a table as :func:`layerlab.show.tables.table` writes it in the style "html".

    None for any other text, which is to be shown as it is. Whatever a cell says, it comes out as
    text: a page that writes it escapes it again.
    """
    if not table.startswith("<table>"):
        return None
    reader = _Reader()
    reader.feed(table)
    reader.close()
    headers, *rows = reader.rows or [[]]
    widths = {len(headers), len(reader.right), *map(len, rows)}
    if not headers or len(widths) > 1:
        return None
    return Cells(tuple(headers), tuple(map(tuple, rows)), tuple(reader.right))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.right: list[bool] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td") and self.rows:
            self._inside = True
            self.rows[-1].append("")
            if tag == "th":
                self.right.append("right" in (dict(attrs).get("style") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._inside = False
            self.rows[-1][-1] = self.rows[-1][-1].strip()

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data
