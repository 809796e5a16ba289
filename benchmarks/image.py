"""What taking an image apart costs beside exporting it.

    .venv/bin/python benchmarks/image.py [--rounds 5]

Builds an image of 1 GB with 20,000 files on `python:3.11`, and a second one on the same base. In each round,
side by side and in turns: the engine's export of it read into nothing, the same analysed from nothing, and that
with the compressed total too; then the second image with the base's layers remembered, beside its export. Prints
each round's ratio to the export alone (goal: at most 1.25 without the compressed total), what the second image's
analysis takes beyond its export (goal: at most 0.1 s), and the most memory of a process that does
nothing else (goal: under 150 MB).
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from layerlab.build.buildx import Request, build
from layerlab.build.dockerfile import parse
from layerlab.engine import bases, leftovers
from layerlab.engine.choice import choose
from layerlab.engine.endpoint import Endpoint
from layerlab.image.anatomy import dissect
from layerlab.image.export import EXPORT_SECONDS, PIECE, from_engine
from layerlab.image.memory import Memory

BASE = "python:3.11"
FILES, FILE_BYTES = 6_000, 55_000
LARGE = f"""\
FROM {BASE}
RUN python3 -c "import os, pathlib; p = pathlib.Path('/data'); p.mkdir(); \\
[(p / str(i)).write_bytes(os.urandom({FILE_BYTES})) for i in range({FILES})]"
"""
SECOND = f"FROM {BASE}\nRUN echo a second image > /second\n"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--engine")
    chosen = options.parse_args()
    endpoint = choose(chosen.engine, print)
    with leftovers.running() as run, tempfile.TemporaryDirectory() as scratch:
        try:
            large, second = (
                made(endpoint, run, Path(scratch), name, text)
                for name, text in (("large", LARGE), ("second", SECOND))
            )
            report(endpoint, large, second, chosen.rounds)
        finally:
            leftovers.remove_run(endpoint, run)


def made(endpoint: Endpoint, run: leftovers.Run, folder: Path, name: str, text: str) -> str:
    """Build one of the benchmark's images."""
    found = bases.ensure(endpoint, [BASE], standins=False, progress=print)
    (folder / name).mkdir()
    dockerfile = folder / f"{name}.Dockerfile"
    dockerfile.write_text(text)
    tag = f"layerlab/benchmark-{name}:{run.id}"
    built = build(
        endpoint,
        Request(
            dockerfile=dockerfile,
            context=folder / name,
            parsed=parse(text),
            tag=tag,
            labels=run.labels,
            build_contexts=bases.build_contexts(found),
        ),
    )
    assert built.failure is None, built.failure
    return tag


def report(endpoint: Endpoint, large: str, second: str, rounds: int) -> None:
    image = from_engine(endpoint, large, Memory(), compress=False)
    print(f"{image.totals.unpacked_bytes / 1e6:.0f} MB, {image.totals.files:,} files")
    plain, compressed, beyond = [], [], []
    for number in range(1, rounds + 1):
        works: list[Callable[[], object]] = [
            lambda: export(endpoint, large),
            lambda: dissect(from_engine(endpoint, large, Memory(), compress=False)),
            lambda: dissect(from_engine(endpoint, large, Memory(), compress=True)),
        ]
        took = in_turns(works, number)
        plain.append(took[1] / took[0])
        compressed.append(took[2] / took[0])
        memory = Memory()
        from_engine(endpoint, BASE, memory, compress=False)
        pair: list[Callable[[], object]] = [
            lambda: export(endpoint, second),
            lambda: dissect(from_engine(endpoint, second, memory, compress=False)),  # noqa: B023
        ]
        export_alone, analysed = in_turns(pair, number)
        beyond.append(analysed - export_alone)
        print(
            f"round {number}: export {took[0]:.2f} s, analysed {took[1]:.2f} s (x{plain[-1]:.3f}), "
            f"compressed too {took[2]:.2f} s (x{compressed[-1]:.3f}); second image: export "
            f"{export_alone:.2f} s, beyond it {beyond[-1]:+.3f} s"
        )
    print(
        f"median: x{statistics.median(plain):.3f}, compressed too x{statistics.median(compressed):.3f}"
    )
    print(f"median beyond the second image's export: {statistics.median(beyond):+.3f} s")
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        print(f"most memory: {pool.apply(most_memory, (endpoint, large)):.0f} MB")


def in_turns(works: list[Callable[[], object]], number: int) -> list[float]:
    """Seconds of each work; the order is reversed in every other round."""
    took = [0.0] * len(works)
    order = list(range(len(works)))
    for index in order if number % 2 else reversed(order):
        begun = time.monotonic()
        works[index]()
        took[index] = time.monotonic() - begun
    return took


def export(endpoint: Endpoint, reference: str) -> None:
    """Read what the engine saves into nothing."""
    connection = endpoint.connect(timeout=EXPORT_SECONDS)
    for _ in connection.api.get_image(reference, chunk_size=PIECE):
        pass
    connection.close()


def most_memory(endpoint: Endpoint, reference: str) -> float:
    dissect(from_engine(endpoint, reference, Memory(), compress=False))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
