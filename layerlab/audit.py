"""The audit: which of the Python packages that layerlab and the app stand on have a known vulnerability."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layerlab.errors import LabError
from layerlab.text import shorten

#: Each audit asks the Python Package Index for some eighty packages, one after another.
LIMIT_SECONDS = 300


@dataclass(frozen=True)
class Audit:
    """What is known of some packages."""

    #: "flask 0.5: PYSEC-2019-179, mended in 1.0"
    vulnerable: tuple[str, ...]
    audited: int
    #: Packages of which nothing is known, not even that nothing is wrong: name -> why.
    skipped: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: "Audit") -> "Audit":
        return Audit(
            tuple(dict.fromkeys(self.vulnerable + other.vulnerable)),
            self.audited + other.audited,
            {**self.skipped, **other.skipped},
        )


def audit(requirements: Path) -> Audit:
    """Audit this environment, and a file of pinned requirements, if it is there.

    Raises:
        LabError: pip-audit is not installed, or the data can't be reached.
    """
    if importlib.util.find_spec("pip_audit") is None:
        raise LabError("nothing was audited: pip-audit is not installed; `pip install pip-audit`")
    found = _asked("--skip-editable")
    if requirements.is_file():
        found += _asked("--requirement", str(requirements), "--no-deps", "--disable-pip")
    if not found.audited:
        raise LabError(
            "nothing was audited: the index that answers here tells nothing of vulnerabilities (none of "
            f"{len(found.skipped)} packages has an entry in its JSON API): run this where pypi.org answers"
        )
    return found


def _asked(*options: str) -> Audit:
    words = ["pip_audit", "--format", "json", "--desc", "off", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words, *options],
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"nothing was audited: pip-audit had no answer in {LIMIT_SECONDS} s: run this where "
            "pypi.org answers"
        ) from error
    # pip-audit ends with 1 both where it found something and where it broke.
    try:
        return read(json.loads(done.stdout))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise LabError(
            f"nothing was audited: pip-audit can't reach its data ({shorten(last, 200)}): run this "
            "where pypi.org answers"
        ) from error


def read(printed: Any) -> Audit:
    """What pip-audit printed as JSON."""
    vulnerable, audited, skipped = [], 0, {}
    for package in printed["dependencies"]:
        if "skip_reason" in package:
            skipped[str(package["name"])] = str(package["skip_reason"])
            continue
        audited += 1
        for one in package["vulns"]:
            mended = ", ".join(one["fix_versions"]) or "no version yet"
            vulnerable.append(
                f"{package['name']} {package['version']}: {one['id']}, mended in {mended}"
            )
    return Audit(tuple(vulnerable), audited, skipped)


def lines(found: Audit) -> Iterator[str]:
    """An audit for people."""
    yield from found.vulnerable
    if found.skipped:
        yield f"not audited, since the index does not tell of them: {', '.join(found.skipped)}"
    known = len(found.vulnerable) or "no"
    yield f"{known} known vulnerabilities in {found.audited} packages"
