"""What layerlab adds to the builds that it measures.

    .venv/bin/python benchmarks/overhead.py [--builds 12] [--rounds 6]

Runs the same N builds twice in each round, side by side: through layerlab (read, parsed, and recorded in a
store as `./lab run` does) and as bare `docker buildx build` commands in a shell script, the order reversed in
every other round. Prints each round's ratio of wall times and their median; the goal is 1.05 or less.
The builds are of the kinds that a lab run has: half rebuilds with an edit of main.py, half without a change.
"""

import argparse
import os
import shlex
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from layerlab.build.buildx import Request, build, command
from layerlab.build.context import EDITS, copy_context
from layerlab.build.variant import load
from layerlab.compare.rounds import interleaved
from layerlab.engine import bases, leftovers
from layerlab.engine.choice import choose
from layerlab.record.samples import build_samples
from layerlab.record.store import Store

PROJECT = Path(__file__).resolve().parent.parent
SOURCE_EDIT = next(edit for edit in EDITS if edit.scenario == "source-edit")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--builds", type=int, default=12)
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--engine")
    options.add_argument("--variant", default="cache-ordered")
    chosen = options.parse_args()
    endpoint = choose(chosen.engine, print)
    variant = load(PROJECT / f"dockerfiles/{chosen.variant}.Dockerfile")
    found = bases.ensure(endpoint, variant.dockerfile.images(), standins=False, progress=print)
    ratios = []
    with leftovers.running() as run, tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch) / "store.sqlite")
        store.begin_run(run.id, {}, [])
        context = copy_context(PROJECT / "app", run.folder / "context", run.id)
        request = Request(
            dockerfile=variant.path,
            context=context.folder,
            parsed=variant.dockerfile,
            tag=f"layerlab/overhead:{run.id}",
            labels=run.labels,
            build_contexts=bases.build_contexts(found),
        )
        words = shlex.join(command(endpoint, request))
        main_py = shlex.quote(str(context.folder / "main.py"))
        edit = f"echo '# bare '$1' '$i >> {main_py}"
        script = (
            f"for i in $(seq {chosen.builds}); do [ $((i % 2)) = 0 ] || {edit}; "
            f"{words} > /dev/null 2>&1 || exit 1; done"
        )
        environ = {**endpoint.environ(), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}

        def through_layerlab(number: int) -> None:
            for index in range(1, chosen.builds + 1):
                if index % 2:
                    context.apply(SOURCE_EDIT, f"{run.id} {number} {index}")
                built = build(endpoint, request)
                assert built.failure is None, built.failure
                for sample in build_samples(variant, "overhead", number, index, built, None):
                    store.add(run.id, sample, built.steps if sample.metric == "wall" else ())

        def bare(number: int) -> None:
            subprocess.run(["sh", "-c", script, "sh", str(number)], env=environ, check=True)

        try:
            build(endpoint, request)
            for number, order in interleaved([through_layerlab, bare], chosen.rounds):
                took = {}
                for way in order:
                    begun = time.monotonic()
                    way(number)
                    took[way] = time.monotonic() - begun
                ratio = took[through_layerlab] / took[bare]
                ratios.append(ratio)
                print(
                    f"round {number}: layerlab {took[through_layerlab]:.2f} s, "
                    f"bare {took[bare]:.2f} s, ratio {ratio:.3f}"
                )
        finally:
            store.close()
            leftovers.remove_run(endpoint, run)
    print(
        f"{chosen.builds} builds a round, {chosen.rounds} rounds: median ratio "
        f"{statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}; "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
