"""What recorded rebuilds cost, and why."""

from dataclasses import replace

import pytest
from streams import build, steps, variant

from layerlab.build.cachemiss import (
    cost,
    explain,
    installs_dependencies,
    invalid_cold,
    invalid_no_change,
)
from layerlab.build.context import EDITS
from layerlab.build.dockerfile import parse
from layerlab.build.progress import Step
from layerlab.build.variant import Variant

NO_CHANGE, SOURCE, REQUIREMENTS, UNRELATED = EDITS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("single-cold", "install"),
        ("single-same", "nothing"),
        ("single-source", "install"),
        ("single-requirements", "install"),
        ("single-unrelated", "install"),
        ("ordered-cold", "install"),
        ("ordered-same", "nothing"),
        ("ordered-source", "copy"),
        ("ordered-requirements", "install"),
        ("ordered-unrelated", "copy"),
    ],
)
def test_cost_of_recorded_builds(name: str, expected: str) -> None:
    assert cost(variant(name.partition("-")[0]), build(name)) == expected


def test_why_a_source_edit_installed_everything_again() -> None:
    first, second, advice = explain(
        variant("single"), build("single-source"), SOURCE, "copy"
    ).splitlines()
    assert first.startswith(
        "single.Dockerfile:3: after the edit of main.py, [3/4] COPY . . was the first"
    )
    assert (
        "expected: steps run, but no dependency install, got: the dependencies installed" in first
    )
    assert second.startswith("single.Dockerfile:4: [4/4] RUN pip install")
    assert "had to run again (1.13 s) because that step stands before it" in second
    assert "COPY requirements.txt ." in advice


def test_why_an_unrelated_edit_cost_anything() -> None:
    told = explain(variant("ordered"), build("ordered-unrelated"), UNRELATED, "nothing")
    assert told.startswith("ordered.Dockerfile:5: after the edit of README.md")
    assert "List README.md in ordered.Dockerfile.dockerignore" in told


def test_why_an_edit_that_ran_nothing_is_wrong() -> None:
    told = explain(variant("ordered"), build("ordered-same"), SOURCE, "copy")
    assert "ran no step at all" in told
    assert "Does a COPY take main.py" in told


def test_why_a_rebuild_without_a_change_ran_something() -> None:
    told = explain(variant("ordered"), build("ordered-source"), NO_CHANGE, "nothing")
    assert "after a rebuild without a change, [stage-0 5/5] COPY . . was the first step" in told


def test_requirements_that_installed_nothing_are_explained() -> None:
    told = explain(variant("ordered"), build("ordered-source"), REQUIREMENTS, "install")
    assert "expected: the dependencies installed again, got: steps run" in told


def test_measurements_that_are_none() -> None:
    assert invalid_cold(build("single-cold")) is None
    # BuildKit takes WORKDIR from its cache in a cold build, too: it is not counted.
    assert any(step.cached for step in build("ordered-cold").steps)
    assert invalid_cold(build("ordered-cold")) is None
    assert invalid_cold(build("ordered-source")) == (
        "[stage-0 3/5] COPY requirements.txt . was cached in a cold build"
    )
    assert invalid_no_change(build("single-same")) is None
    assert invalid_no_change(build("ordered-source")) == (
        "[stage-0 5/5] COPY . . ran although nothing was changed"
    )


def recognised(instruction: str) -> bool:
    text = f"FROM a\nRUN {instruction}\n"
    step = Step("", 2, 2, f"RUN {instruction.splitlines()[0]}", 2, 2, False, 1.0, 0.0)
    return installs_dependencies(Variant("v", variant("single").path, "", parse(text)), step)


@pytest.mark.parametrize(
    "instruction",
    [
        "pip install -r requirements.txt",
        "pip3 install --no-cache-dir -r requirements.txt",
        "pip3.11 install .",
        "/opt/venv/bin/pip install -r requirements.txt",
        "python -m pip install -r requirements.txt",
        "python3 -u -m pip --proxy http://p:1 -q install fastapi",
        'pip install "uvicorn[standard]" fastapi==0.115.0',
        '["pip", "install", "-r", "requirements.txt"]',
        'sh -c "pip install -r requirements.txt"',
        "--mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt",
        "--mount=type=cache,target=/root/.cache/pip \\\n  pip install \\\n  -r requirements.txt",
        "pip install --upgrade pip && pip install -r requirements.txt",
        "pip install --upgrade pip -r requirements.txt",
        "pip install pip setuptools-scm",
        "set -eux; . /venv/bin/activate; pip install -r requirements.txt",
        "if [ -f r.txt ]; then pip install -r r.txt; fi",
        "cat requirements.txt | xargs pip install",
        "pip wheel --wheel-dir /wheels -r requirements.txt",
        "<<EOF\nset -e\npip install -r requirements.txt\nEOF",
        "uv pip install --system -r requirements.txt",
        "uv sync --frozen --no-dev",
        "uv --no-cache sync",
        "poetry install --no-root",
        "pip install poetry && poetry install",
        "pdm sync --prod",
        "pipenv install --deploy --system",
        "conda env create -f environment.yml",
        "npm ci",
        "npm --prefix web install",
        "yarn --frozen-lockfile",
        "pnpm i --frozen-lockfile",
        "echo installing && pip install -r requirements.txt",
    ],
)
def test_dependency_installs_are_recognised(instruction: str) -> None:
    assert recognised(instruction)


@pytest.mark.parametrize(
    "instruction",
    [
        "pip install --upgrade pip",
        "pip install -U pip setuptools wheel",
        "pip install --no-cache-dir 'uv<1'",
        "python -m pip install poetry==1.8.3",
        "npm install -g npm@10",
        "echo pip install",
        "printf 'pip install %s' x",
        "<<EOF\n# pip install later\ntrue\nEOF",
        "pip --version",
        "pip config set install.no-cache-dir true",
        "apt-get install -y python3-pip",
        "apt-get update && apt-get install -y curl pipx",
        "python -m venv /opt/venv",
        "uv venv && uv python install 3.12",
        "npm run ci",
        "npm run build",
        "mkdir -p /app/pip/install",
        "ls pip-install.log",
        "useradd app",
    ],
)
def test_what_is_no_dependency_install(instruction: str) -> None:
    assert not recognised(instruction)


def test_only_run_installs() -> None:
    [copy] = [step for step in steps("ordered-cold") if step.line == 3]
    assert not installs_dependencies(
        variant("ordered"), replace(copy, instruction="COPY pip install x")
    )


def test_an_install_in_an_images_onbuild_counts() -> None:
    trigger = replace(
        steps("onbuild")[1], instruction="ONBUILD RUN pip install -r requirements.txt"
    )
    assert installs_dependencies(variant("onbuild"), trigger)
