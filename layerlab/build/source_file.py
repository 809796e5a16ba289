"""The source file of a project that a developer most likely edits: found by what its Dockerfiles start."""

import json
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from layerlab.build.dockerfile import Dockerfile
from layerlab.build.edited import Edited, read
from layerlab.build.mark import can_mark
from layerlab.build.snapshot import Tree
from layerlab.errors import LabError

_LANGUAGES = (
    "py js mjs cjs ts mts cts tsx jsx go rs rb java kt scala groovy clj cs fs php ex exs erl swift dart "
    "c cc cpp cxx m hs ml nim zig cr jl r R lua pl vue svelte astro html sh"
)
SUFFIXES = tuple(f".{language}" for language in _LANGUAGES.split())
#: Where projects begin, by the names that frameworks and languages give it, most telling first.
_WELL_KNOWN = (
    r"(src/|app/|server/|api/|backend/)*(main|app|manage|wsgi|asgi|application|server)\.py",
    r"src/[^/]+/(main|app|__main__|server|wsgi|asgi)\.py",
    r"(src/|app/|server/|api/|backend/|lib/)*(index|server|app|main)\.([cm]?[jt]s|tsx|jsx)",
    r"main\.go|cmd/[^/]+/main\.go",
    r"src/main\.rs|src/lib\.rs|crates/[^/]+/src/main\.rs",
    r"(.*/)?src/main/(java|kotlin|scala)/.*(Application|Main|App)\.(java|kt|scala)",
    r"(.*/)?Program\.(cs|fs)",
    r"(public/|web/)?index\.php|app/Http/Kernel\.php",
    r"(app|server|main|config/application)\.rb",
    r"lib/[^/]+/application\.ex",
    r"[^/]+/(main|app|__main__|wsgi|asgi)\.py",
)
#: What is source by its suffix, and not of the program: tests, settings of tools, examples.
_ASIDE = re.compile(
    r"(^|/)(tests?|spec|__tests__|docs?|examples?|scripts?|tools|migrations|vendor|\.[^/]+)/"
    r"|(^|/)(conftest|setup|noxfile|tasks|test_[^/]*)\.py$|_test\.\w+$|\.(test|spec|config|d)\.\w+$"
    r"|(^|/)(Gulpfile|Gruntfile|gulpfile|gruntfile)\.\w+$"
)
#: Words with which a package's own command is started.
_SCRIPT = re.compile(r"^(?:npm|yarn|pnpm|bun)$")
_GO = re.compile(r"\bgo\s+(?:build|run|install)\b([^&|;\n]*)")
_ENTRY_VARIABLES = ("FLASK_APP", "DJANGO_SETTINGS_MODULE", "APP_MODULE")


def find(tree: Tree, dockerfiles: Sequence[Dockerfile], besides: Collection[str] = ()) -> Edited:
    """The source file to edit, one that every variant's build sees.

    It is what a CMD or ENTRYPOINT starts, else one of a well-known name, else the source file nearest to
    the context's root.

    Raises:
        LabError: there is none.
    """
    files = {
        path
        for path in tree.common - set(besides)
        if path.endswith(SUFFIXES) and not path.endswith(".d.ts")
    }
    shells = {path for path in files if path.endswith(".sh")}
    programs = files - shells
    for candidates in (programs, shells):
        for dockerfile in dockerfiles:
            for keyword, word in _started(tree, dockerfile):
                if path := _meant(word, candidates):
                    return Edited(path, f"{keyword} starts it")
        if not candidates & programs:
            continue
        for pattern in _WELL_KNOWN:
            matching = [path for path in candidates if re.fullmatch(pattern, path)]
            if matching:
                return Edited(
                    min(matching, key=_nearness), "its name says that the app begins there"
                )
        if own := [path for path in candidates if not _ASIDE.search(path)]:
            return Edited(min(own, key=_nearness), "the source file nearest to the context's root")
    if left := [path for path in files if can_mark(b"", path)]:
        return Edited(min(left, key=_nearness), "the source file nearest to the context's root")
    raise LabError(
        f"no source file was found in the build context {tree.root}: name one with --edit PATH"
    )


def _nearness(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _started(tree: Tree, dockerfile: Dockerfile) -> Iterator[tuple[str, str]]:
    """The words that may name what a container starts, each with where it stands."""
    launching = dockerfile.launching()
    for instruction in launching:
        words = instruction.words or _shell_words(instruction.value)
        if any(_SCRIPT.match(PurePosixPath(word).name) for word in words) or words == ["node", "."]:
            for word in _package_words(tree, words):
                yield "package.json", word
        for word in words:
            yield instruction.keyword, word
    _, instructions = dockerfile.lineage()
    for instruction in instructions:
        if instruction.keyword == "ENV":
            for name in _ENTRY_VARIABLES:
                if match := re.search(rf"\b{name}[= ]\"?([^\s\"]+)", instruction.value):
                    yield name, match[1]
    for instruction in dockerfile.instructions:
        if instruction.keyword == "RUN":
            for match in _GO.finditer(instruction.value):
                for word in match[1].split():
                    if word.startswith(".") or word.endswith(".go"):
                        yield "go build", word


def _shell_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _package_words(tree: Tree, words: Sequence[str]) -> Iterable[str]:
    """The words of the package's script that `npm start` or `yarn run x` means, and its main file."""
    if "package.json" not in tree.common:
        return []
    try:
        package = json.loads(read(tree, "package.json"))
        scripts = package.get("scripts") or {}
        named = next(
            (scripts[word] for word in words[1:] if word in scripts), scripts.get("start", "")
        )
        return [*_shell_words(str(named)), str(package.get("main") or "")]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []


def _meant(word: str, files: Collection[str]) -> str | None:
    """The file that a word of a command means: a path, a module, a Go package."""
    if word.startswith("-") or len(word) > 300:
        return None
    path = word.removeprefix("./").strip("/")
    if word.startswith(".") and not path.endswith(SUFFIXES):
        folder = path.strip(".").removesuffix("/...").strip("/")
        package = [one for one in files if one.endswith(".go") and _folder(one) == folder]
        mains = [one for one in package if PurePosixPath(one).name == "main.go"]
        return next(iter(mains + sorted(one for one in package if "_test" not in one)), None)
    if path.endswith(SUFFIXES):
        # In the image it may lie deeper, as /app/src/main.py does, or come from another folder.
        parts = path.split("/")
        for start in range(len(parts)):
            if (tail := "/".join(parts[start:])) in files:
                return tail
        # A file that a build makes: dist/server.js of src/server.ts.
        stem = PurePosixPath(path).stem
        if path.endswith((".js", ".mjs", ".cjs")):
            made = [
                f"{folder}{stem}{s}" for folder in ("src/", "") for s in (".ts", ".mts", ".tsx")
            ]
            return next((one for one in made if one in files), None)
        return None
    module = word.split(":", 1)[0]
    if not re.fullmatch(r"\w+(\.\w+)*", module):
        return None
    below = module.replace(".", "/")
    ways = (f"{below}.py", f"{below}/__main__.py", f"{below}/app.py", f"{below}/__init__.py")
    return next(
        (f"{at}{way}" for at in ("", "src/", "app/") for way in ways if f"{at}{way}" in files), None
    )


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
