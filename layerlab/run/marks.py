"""A copy of the app whose answers prove which of its files were read, and the saves that change them."""

import symtable
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from layerlab.build.context import Context
from layerlab.errors import LabError

#: Where the app says what it was read from.
ROUTE = "/layerlab-marks"
MAIN = "main.py"
_MAIN = f"""

# layerlab: shows which files this app was read from.
import lab_marks

app.add_api_route("{ROUTE}", lambda: lab_marks.MARKS)
"""
#: As apps do that look for their own routers, plug-ins or migrations.
_MARKS = """\
import importlib
import pathlib

_HERE = pathlib.Path(__file__).parent
_NAMES = sorted(path.stem for path in _HERE.glob("mark_*.py"))
MARKS = {name: importlib.import_module(name).MARK for name in _NAMES}
"""
_FIRST = ("mark_one", "mark_two", "mark_three")
#: Removed later; not the new one, since an image without that was built before.
_OLD = "mark_old"


@dataclass(frozen=True)
class Save:
    """Something that an editor does to the source."""

    name: str
    #: The modules that are written, or removed.
    modules: tuple[str, ...]
    removes: bool = False
    #: A file that Python can't read was saved before.
    broken: bool = False


ONE = Save("one file", ("mark_one",))
MENDED = Save("syntax error, mended", ("mark_one",), broken=True)
SEVERAL = Save("several files", _FIRST)
NEW = Save("new file", ("mark_new",))
DELETED = Save("deleted file", (_OLD,), removes=True)
#: In an order in which each can follow the one before.
SAVES = (ONE, MENDED, SEVERAL, NEW, DELETED)


class Marked:
    """A marked copy of the app, which may be edited."""

    def __init__(self, context: Context, nonce: str) -> None:
        self.context = context
        #: What the app answers at :data:`ROUTE` when it has read all that was saved.
        self.marks: dict[str, str] = {}
        self._nonce = nonce
        self._count = 0
        #: When a file was written last, in seconds since 1970.
        self.written = 0.0

    @property
    def folder(self) -> Path:
        return self.context.folder

    def save(self, save: Save) -> Mapping[str, str]:
        """Save files, or remove them; returns what the app is to answer then."""
        for module in save.modules:
            if save.removes:
                (self.folder / f"{module}.py").unlink()
                del self.marks[module]
            else:
                self.marks[module] = self._new()
                self.write(f"{module}.py", f"MARK = {self.marks[module]!r}\n")
        return dict(self.marks)

    def break_it(self, save: Save) -> None:
        """Save a file that Python can't read."""
        self.write(f"{save.modules[0]}.py", f"MARK = ({self._new()!r}\n")

    def touch(self) -> None:
        """Save the app's first file with another comment, which changes no answer."""
        text = (self.folder / MAIN).read_text(encoding="utf-8")
        self.write(MAIN, f"{text}# {self._new()}\n")

    def write(self, name: str, text: str) -> None:
        """Write a file as most editors do: the same file, with other content."""
        (self.folder / name).write_text(text, encoding="utf-8")
        self.written = time.time()

    def _new(self) -> str:
        self._count += 1
        return f"{self._nonce}-{self._count}"


def mark(context: Context, first: str, nonce: str) -> Marked:
    """Make a private copy of the app a marked one, whose files say ``first`` before any save.

    All copies with the same ``first`` begin as the same app; ``nonce`` must be unique to this one, or the
    build of a save would be a hit in BuildKit's cache that another one made.

    Raises:
        LabError: its main.py has no `app` at its top level, or can't be read.
    """
    main = context.folder / MAIN
    try:
        text = main.read_text(encoding="utf-8")
        found = symtable.symtable(text, MAIN, "exec")
        names = {
            one.get_name()
            for one in found.get_symbols()
            if (one.is_assigned() or one.is_imported()) and not one.is_namespace()
        }
    except OSError as error:
        raise LabError(f"app/{MAIN}: {error.strerror}: the live reload lab needs it") from error
    except (SyntaxError, ValueError, RecursionError) as error:
        raise LabError(f"app/{MAIN} can't be read by Python: {error}") from error
    if "app" not in names:
        raise LabError(
            f"app/{MAIN} sets no `app`: the live reload lab adds a route to it, such as "
            "`app = FastAPI()`"
        )
    # A link would lead to a file that is no copy.
    main.unlink()
    marked = Marked(context, nonce)
    marked.write(MAIN, text + _MAIN)
    marked.write("lab_marks.py", _MARKS)
    for module in (*_FIRST, _OLD):
        marked.marks[module] = first
        marked.write(f"{module}.py", f"MARK = {first!r}\n")
    return marked
