"""Can a bench be trusted: on this engine, how often is it wrong, and how small a difference does it find?

    .venv/bin/python benchmarks/trust.py same --benches 20      # a Dockerfile and its copy
    .venv/bin/python benchmarks/trust.py slower --benches 10 --percent 10

`same` counts verdicts of `layerlab bench` on a Dockerfile against a byte-identical copy under another name:
each that is not "the same" or "cannot tell yet" is a false alarm. `slower` gives the copy extra work of
a known amount, a share of a cold build's time, and counts how often the cold build is called slower.
The work is a number of SHA-256 digests; what they take here is measured first.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent
_WORK = "python -c \"import functools, hashlib; functools.reduce(lambda h, _: hashlib.sha256(h).digest(), range({count}), b'')\""
_DOCKERFILE = """\
FROM python:3.11-slim
WORKDIR /app
RUN {work}
COPY main.py .
RUN python -m py_compile main.py
CMD ["python", "main.py"]
"""
#: What nobody notices, 0.1 s, must be less than the difference: a tenth of these is.
_COUNT = 3_000_000
_ALARMS = ("faster", "slower", "smaller", "larger")


def main() -> None:
    """Run the benches and print what came of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["same", "slower"])
    parser.add_argument("--benches", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--percent", type=float, default=10)
    parser.add_argument("--digests", type=int, default=_COUNT, help="of the build that is slowed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="layerlab-trust-") as name:
        folder = Path(name)
        (folder / "context").mkdir()
        (folder / "context" / "main.py").write_text("print('hello')\n")
        count = given.digests
        extra = _extra(folder, count, given.percent / 100) if given.what == "slower" else 0
        found: Counter[str] = Counter()
        cold: list[str] = []
        for number in range(1, given.benches + 1):
            verdicts = _bench(folder, count, extra, given.rounds)
            found.update(one["verdict"] for one in verdicts)
            (one,) = [one for one in verdicts if one["metric"] == "build.cold"]
            cold.append(one["verdict"])
            print(f"bench {number}: cold build {_told(one)}", flush=True)
            for other in verdicts:
                if given.what == "same" and other["verdict"] in _ALARMS:
                    print(f"  false alarm: {other['metric']} {_told(other)}", flush=True)
    if given.what == "same":
        alarms = sum(found[word] for word in _ALARMS)
        print(f"{alarms} false alarms in {found.total()} verdicts: {dict(found)}")
    else:
        print(
            f"{cold.count('slower')} of {len(cold)} benches call {given.percent:g} % slower slower"
        )


def _told(one: dict[str, Any]) -> str:
    effect = one["effect"]
    return f"{one['verdict']} ({effect['ratio']:.3f})" if effect else str(one["verdict"])


def _bench(folder: Path, count: int, extra: int, rounds: int) -> list[dict[str, Any]]:
    """The verdicts of one bench of the Dockerfile beside a copy with so much extra work."""
    for name, digests in (("old", count), ("new", count + extra)):
        text = _DOCKERFILE.format(work=_WORK.format(count=digests))
        (folder / f"{name}.Dockerfile").write_text(text)
    words = ["bench", "-f", "old.Dockerfile", "-f", "new.Dockerfile", "--rounds", str(rounds)]
    done = subprocess.run(
        [PROJECT / "lab", *words, "--json", "bench.json", "context"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: list[dict[str, Any]] = json.loads((folder / "bench.json").read_text())["verdicts"]
    # The engine's own seconds are shown nowhere.
    return [one for one in found if not one["metric"].endswith(".engine")]


def _extra(folder: Path, count: int, share: float) -> int:
    """The digests that take such a share of a cold build, by a bench with half as many more."""
    (one,) = [v for v in _bench(folder, count, count // 2, 6) if v["metric"] == "build.cold"]
    seconds, more = one["baseline_value"], one["variant_value"] - one["baseline_value"]
    extra = round(count / 2 * share * seconds / more)
    print(f"a cold build takes {seconds:.2f} s; {extra:,} digests more are {share:.0%} of it")
    return extra


if __name__ == "__main__":
    main()
