"""The audit: what pip-audit prints, and what it means."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from layerlab import cli
from layerlab.audit import Audit, audit, lines, read

# pip-audit of Flask 0.5 (its README), in the layout that 2.x prints.
FLASK: dict[str, Any] = {
    "dependencies": [
        {
            "name": "flask",
            "version": "0.5",
            "vulns": [
                {"id": "PYSEC-2019-179", "fix_versions": ["1.0"]},
                {"id": "PYSEC-2018-66", "fix_versions": []},
            ],
        },
        {"name": "jinja2", "version": "3.0.2", "vulns": []},
    ],
    "fixes": [],
}
# pip-audit 2.10.1 behind a mirror without a JSON API: exit code 0, "No known vulnerabilities found".
UNKNOWN = json.loads(
    '{"dependencies": [{"name": "anyio", "skip_reason": "Dependency not found on PyPI and could not be '
    'audited: anyio (4.16.0)"}], "fixes": []}'
)


def test_what_is_known_and_what_is_not() -> None:
    assert list(lines(read(FLASK) + read(UNKNOWN))) == [
        "flask 0.5: PYSEC-2019-179, mended in 1.0",
        "flask 0.5: PYSEC-2018-66, mended in no version yet",
        "not audited, since the index does not tell of them: anyio",
        "2 known vulnerabilities in 2 packages",
    ]
    assert read(UNKNOWN) == Audit((), 0, {"anyio": UNKNOWN["dependencies"][0]["skip_reason"]})


@pytest.mark.parametrize(
    ("printed", "code", "says"),
    [
        (json.dumps(FLASK), 1, "2 known vulnerabilities in 2 packages"),
        (json.dumps({"dependencies": FLASK["dependencies"][1:]}), 0, "no known vulnerabilities"),
        (json.dumps(UNKNOWN), 2, "layerlab: nothing was audited: the index that answers here"),
        ("", 2, "layerlab: nothing was audited: pip-audit can't reach its data (it said nothing)"),
        ("[]", 2, "layerlab: nothing was audited: pip-audit can't reach its data"),
    ],
)
def test_the_exit_code_and_the_sentence(
    printed: str,
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a pip-audit that prints what a real one did."""
    python = tmp_path / "python"
    (tmp_path / "printed").write_text(printed)
    python.write_text(f"#!/bin/sh\ncat '{tmp_path}/printed'\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.chdir(tmp_path)
    assert cli.dispatch(["audit"]) == code
    out, err = capsys.readouterr()
    assert says in out + err
    assert len(err.splitlines()) <= 1


def test_without_the_network_it_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real pip-audit, with a proxy that nobody is."""
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(cli.LabError, match=r"\Anothing was audited: [^\n]*pypi.org answers\Z"):
        audit(tmp_path / "none")
