"""The command-line face of `bench`: variants of somebody's own project beside a baseline."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from layerlab import opening, pages
from layerlab.build import dependency_file, edited, ignore, options, snapshot, source_file
from layerlab.build.edited import Edited
from layerlab.build.variant import Variant, load
from layerlab.chapters import chapter_of
from layerlab.cli_record import exported
from layerlab.compare import gate, grammar
from layerlab.compare.verdict import DEFAULT_MARGIN
from layerlab.engine.choice import choose
from layerlab.engine.processors import Spent, spending
from layerlab.errors import LabError
from layerlab.folders import cache_folder, called_from
from layerlab.lab import Lab
from layerlab.labs import bench as bench_lab
from layerlab.labs.bench_plan import Plan, planned
from layerlab.labs.benched import Benched
from layerlab.record.store import reading
from layerlab.run.service import Service
from layerlab.settings import Settings
from layerlab.show import verdicts
from layerlab.show.live import Screen
from layerlab.show.section import Section
from layerlab.summary import footnotes, section_lines, shown, wrapped
from layerlab.text import plain
from layerlab.units import parse_percent

USAGE = "layerlab bench -f BASELINE -f VARIANT [-f VARIANT ...] [options] CONTEXT"
#: Options of `docker buildx build` that are passed on, and those that may be given more than once.
_ONCE = ("target", "platform", "network")
_REPEATED = ("build-arg", "secret", "ssh", "build-context", "add-host")


#: What a bench can be written to: an option for each.
FORMATS = ("markdown", "html", "json")


def bench(words: list[str]) -> int:
    """Measure; returns 0, 1 where a gate is broken, 2 where something could not be measured.

    Raises:
        LabError: what was given is wrong.
        KeyboardInterrupt: it was ended; what was measured in whole rounds is shown and written.
    """
    given = _parser().parse_args(words)
    here = called_from()
    gates = [grammar.parse(text) for text in given.fail_if]
    _check(given)
    files = {name: _file(f"--{name}", getattr(given, name), here) for name in FORMATS}
    asked = {name: _values(given, name) for name in (*_ONCE, *_REPEATED)}
    build_options = options.read(asked, here)
    variants = _variants(given.file, here, build_options)
    plan = _plan(given, variants, here)
    gate.require(gates, planned(plan))
    width = shutil.get_terminal_size().columns
    for line in _announced(plan):
        print(*wrapped(plain(line), width), sep="\n", flush=True)
    screen = Screen(sys.stderr)
    with spending() as engine:
        endpoint = choose(given.engine, screen.say)
    settings = Settings(
        project=_project(plan.tree.root),
        rounds=given.rounds,
        standins=given.standins,
        build_limit_seconds=given.build_limit,
        start_limit_seconds=given.start_limit,
        kind="bench",
        words=tuple(options.without_values(words)),
        baseline=variants[0].name,
        margin=given.margin,
    )
    took: dict[str, Spent] = {"engine": engine}
    with opening.opened(endpoint, screen, settings, variants, took) as lab:
        lab.options = build_options
        with lab.spending(bench_lab.EXPERIMENT):
            result = bench_lab.measure(lab, plan)
        requested = ["steps"] if given.steps else []
        _print(lab, result, requested, width)
        texts = _pages(lab, result, files)
    if file := files["json"]:  # which says how the run ended
        with reading(settings.project) as store:
            texts[file] = exported(store, store.run(lab.run.id), result.comparisons)
    failed = _problems(result) | _unwritten(texts)
    if result.interrupted:  # when all is shown
        raise KeyboardInterrupt
    broken = _judged(result, gates)
    return 2 if failed else int(broken)


def _pages(lab: Lab, result: Benched, files: Mapping[str, Path | None]) -> dict[Path, str]:
    """The texts of the files that show the results."""
    page, markdown = files["html"], files["markdown"]
    found: dict[Path, str] = {}
    if not (page or markdown):
        return found
    chapters = [chapter_of(bench_lab.EXPERIMENT, result, 120, lab.run.folder)]
    if page:
        found[page] = pages.page(lab, chapters, result.comparisons)
    if markdown:
        about = [Section("This run", "", tuple(_footnotes(lab)))]
        parts = pages.blocks(lab, chapters, result.comparisons, about, {})
        found[markdown] = "\n\n".join(parts) + "\n"
    return found


def _unwritten(texts: Mapping[Path, str]) -> bool:
    """Write the files; print which can't be written, a line each, and return whether there is one."""
    failed = False
    for file, text in texts.items():
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            print(f"layerlab: {file}: {error.strerror}: it is not written", file=sys.stderr)
            failed = True
    return failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="layerlab bench",
        usage=USAGE,
        description="What do Dockerfiles of your project cost, beside the first one? Cold builds, rebuilds "
        "after an edit of a source file and of the dependencies, image sizes, and with --serve start, memory "
        "and stop. CONTEXT is copied, and never written to.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("context", metavar="CONTEXT", help="the folder that is built from")
    add(
        "-f", "--file", action="append", default=[], metavar="DOCKERFILE", help="first the baseline"
    )
    add("--edit", metavar="PATH", help="the source file to edit (default: found)")
    add("--deps", metavar="PATH", help="the dependency file to edit (default: found)")
    add("--serve", type=int, metavar="PORT", help="the images serve at this port: start them, too")
    add("--health", metavar="PATH", help="where a good answer says that an image is ready")
    add("--rounds", type=int, default=6, metavar="N", help="rounds (default: 6)")
    add(
        "--margin",
        type=parse_percent,
        default=DEFAULT_MARGIN,
        metavar="P%",
        help="what matters (default: 5%%)",
    )
    add("--until-decided", action="store_true", help="go on until every verdict stands")
    add("--time-limit", type=float, metavar="MIN", help="minutes for that (default: 30)")
    add("--fail-if", action="append", default=[], metavar="GATE", help="exit code 1 where it is true, e.g. "
        "'image.unpacked > +5%%' or 'rebuild.source-edit slower 10%%'; repeatable")  # fmt: skip
    for name in FORMATS:
        add(f"--{name}", metavar="FILE", help=f"write the results to a file as {name}")
    add("--steps", action="store_true", help="show each variant's steps in every scenario, too")
    add("--engine", help="the engine to use, as for `run`")
    add("--standins", action="store_true", help="allow stand-in bases on an engine of yours")
    add("--build-limit", type=float, default=900, metavar="S", help="seconds that a build may take")
    add("--start-limit", type=float, default=30, metavar="S", help="seconds until an app answers")
    same = parser.add_argument_group("as docker buildx build takes them")
    for name in _ONCE:
        same.add_argument(f"--{name}")
    for name in _REPEATED:
        same.add_argument(f"--{name}", action="append", default=[])
    return parser


def _check(given: argparse.Namespace) -> None:
    if given.rounds < 1:
        raise LabError(f"--rounds {given.rounds}: give 1 or more")
    for name in ("build_limit", "start_limit"):
        if not getattr(given, name) > 0:
            raise LabError(f"--{name.replace('_', '-')}: give more than 0 seconds")
    if given.time_limit is not None and not given.until_decided:
        raise LabError("--time-limit is for --until-decided: give both, or --rounds alone")
    if given.time_limit is not None and not given.time_limit > 0:
        raise LabError("--time-limit: give more than 0 minutes")
    if given.health is not None and given.serve is None:
        raise LabError(
            "--health says where a served image is asked: give its port, too (--serve PORT)"
        )
    if given.health is not None and not given.health.startswith("/"):
        raise LabError(f"--health {given.health}: give a path, such as /health")
    if given.serve is not None and not 0 < given.serve < 65536:
        raise LabError(f"--serve {given.serve}: give a port, from 1 to 65535")


def _values(given: argparse.Namespace, name: str) -> Sequence[str]:
    value = getattr(given, name.replace("-", "_"))
    return [value] if isinstance(value, str) else value or []


def _file(option: str, word: str | None, here: Path) -> Path | None:
    if word is None:
        return None
    file = here / word
    if not file.parent.is_dir():
        raise LabError(f"{option} {word}: there is no such folder: name a file in one that exists")
    if file.is_dir():
        raise LabError(f"{option} {word}: it is a folder: name a file")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise LabError(f"{option} {word}: it can't be written: name another file")
    return file


def _variants(asked: Sequence[str], here: Path, build: options.Options) -> list[Variant]:
    """The variants by the names of their files; where those are alike, by their paths as they were given."""
    if len(asked) < 2:
        raise LabError(f"give a baseline and a Dockerfile to compare with it: {USAGE}")
    paths: list[Path] = []
    for word in asked:
        path = here / word
        path = path / "Dockerfile" if path.is_dir() else path
        if not path.is_file():
            raise LabError(f"-f {word}: there is no such file: name a Dockerfile")
        if any(path.samefile(other) for other in paths):
            raise LabError(
                f"-f {word}: it was given twice: copy it under another name to compare it with itself"
            )
        paths.append(path)
    files = [path.name for path in paths]
    variants = []
    for word, path in zip(asked, paths, strict=True):
        alike = files.count(path.name) > 1
        variant = load(path)
        dockerfile = variant.dockerfile.built_with(build.target, build.arguments, build.given)
        name = os.path.normpath(path if Path(word).is_absolute() else path.relative_to(here))
        variants.append(replace(variant, name=name if alike else path.name, dockerfile=dockerfile))
    return variants


def _plan(given: argparse.Namespace, variants: Sequence[Variant], here: Path) -> Plan:
    root = here / given.context
    if not root.is_dir():
        what = "it is not a folder" if root.exists() else "there is no such folder"
        raise LabError(f"CONTEXT {given.context}: {what}: name the folder that is built from")
    ignores = {variant.name: ignore.read(variant, root) for variant in variants}
    tree = snapshot.look(root, list(ignores.values()))
    dockerfiles = {variant.name: variant.dockerfile for variant in variants}
    dependencies = (
        edited.asked("--deps", given.deps, tree, ignores, here)
        if given.deps
        else dependency_file.find(tree, dockerfiles)
    )
    besides = [dependencies.path] if dependencies else []
    source = (
        edited.asked("--edit", given.edit, tree, ignores, here)
        if given.edit
        else source_file.find(tree, list(dockerfiles.values()), besides)
    )
    service = Service(given.serve, given.health) if given.serve else None
    limit = (given.time_limit or 30) * 60 if given.until_decided else None
    return Plan(variants, tree, source, dependencies, service, limit)


def _announced(plan: Plan) -> list[str]:
    """Which files are edited, why these, and how to choose others."""

    def told(what: str, one: Edited, option: str) -> str:
        return f"{what}: {one.path} ({one.why}; {option} PATH for another)"

    found = [told("Source edit", plan.source, "--edit")]
    if plan.dependencies:
        found.append(told("Dependencies edit", plan.dependencies, "--deps"))
    else:
        found.append(
            "Dependencies edit: left out, since no dependency file was found (--deps PATH names one)"
        )
    return found


def _project(context: Path) -> Path:
    """Where the record is kept: the current folder, unless that is in the context, which is not written to."""
    here = Path.cwd().resolve()
    if not here.is_relative_to(context.resolve()):
        return here
    folder = cache_folder() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _print(lab: Lab, result: Benched, requested: Sequence[str], width: int) -> None:
    shown = verdicts.sections(result.comparisons, lab.settings.margin, "simple", said=False)
    for section in (*shown, *result.sections("simple", width)):
        if section.on_request is None or section.on_request in requested:
            print(f"\n{section.title}\n", *section_lines(section, width), sep="\n")
    print()
    for note in _footnotes(lab):
        print(*wrapped(plain(note), width), sep="\n")
    print("", *wrapped(result.answer(), width), sep="\n", flush=True)


def _footnotes(lab: Lab) -> list[str]:
    return [*footnotes(lab)[:-1], f"Run {lab.run.id}; samples: {shown(lab.store.path)}"]


def _problems(result: Benched) -> bool:
    """Print what could not be measured, a line each; returns whether there is something."""
    problems = [*result.problems.values(), *result.unserved.values()]
    problems += [result.lost] if result.lost else []
    for problem in problems:
        print(f"layerlab: {plain(str(problem))}", file=sys.stderr)
    return bool(problems)


def _judged(result: Benched, gates: Sequence[gate.Gate]) -> bool:
    """Print what the gates say, a line each; returns whether one is broken."""
    if not (gates and result.comparisons):
        return False
    broken, lines = gate.told(gates, result.comparisons)
    for line in lines:
        print(f"layerlab: {plain(line)}", file=sys.stderr)
    return broken
