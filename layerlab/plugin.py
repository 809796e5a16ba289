"""The pytest face: options, fixtures, and what a session is made of."""

import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

from layerlab import plugin_options
from layerlab.asked import Asked, selected
from layerlab.build.variant import Variant
from layerlab.ending import BAD_INPUT, Ending
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.lab import Lab
from layerlab.reports import Reports
from layerlab.session import Session, refusing
from layerlab.text import plain


def pytest_addoption(parser: pytest.Parser) -> None:
    plugin_options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    with refusing():
        plugin_options.check(config)
    config.addinivalue_line(
        "markers",
        "experiment(name, packaged=VARIANT): the lab that a test belongs to; some variants are for some "
        "only. A test that has `packaged` gets that one variant, where one is enough",
    )
    asked = Asked(config)
    session = Session(config, asked)
    parts = {
        "asked": asked,
        "session": session,
        "reports": Reports(session),
        "ending": Ending(session),
        "leader": session.leader,
    }
    for name, part in parts.items():
        if part is not None:
            config.pluginmanager.register(part, f"layerlab-{name}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    plugin_options.spread(config)
    try:
        return (yield)
    except pytest.UsageError as error:
        if not isinstance(error.__cause__, LabError | OSError):
            raise
        print(f"layerlab: {error}", file=sys.stderr)
        return BAD_INPUT


def _session(request: pytest.FixtureRequest) -> Session:
    session = request.config.pluginmanager.get_plugin("layerlab-session")
    assert isinstance(session, Session)
    return session


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """The engine that this session uses, running and probed."""
    found = _session(request).endpoint
    assert found is not None
    return found


@pytest.fixture(scope="session")
def asked_variants(request: pytest.FixtureRequest) -> list[Variant]:
    """The variants that were asked for, whichever tests run: all where none was named."""
    return _session(request).asked.variants()


@pytest.fixture(scope="module")
def selected_variants(request: pytest.FixtureRequest) -> list[Variant]:
    """The variants of an experiment's tests that run: what is measured together."""
    return selected([item for item in request.session.items if item.path == request.path])


@pytest.fixture(scope="session")
def lab(
    request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]
) -> Lab:
    """The lab: an engine with its base images, a run, and a store for its samples."""
    found = _session(request).lab
    assert found is not None
    record_testsuite_property("layerlab.run", found.run.id)
    record_testsuite_property("layerlab.engine", plain(found.endpoint.described()))
    return found
