"""The app against its own OpenAPI: whatever is asked, its answer is one that the document names."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error

APP = Path(__file__).parent.parent / "app"
MODULES = ("main", "settings", "status", "notes", "visits", "storage")
VARIABLES = ("APP_NAME", "VERSION", "START_DELAY_SECONDS", "DATABASE_URL", "REDIS_URL")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The app's modules, imported from its folder, which is left without a trace."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in {*VARIABLES, *(name for name in os.environ if name.endswith("_FILE"))}:
            patch.delenv(variable, raising=False)
        for module in MODULES:
            patch.delitem(sys.modules, module, raising=False)
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.syspath_prepend(APP)
        modules = SimpleNamespace(**{module: import_module(module) for module in MODULES})
        waiting = SimpleNamespace(gather=asyncio.gather, sleep=lambda _: asyncio.sleep(0))
        patch.setattr(modules.status, "asyncio", waiting)  # /slow need not be slow here
        fault = tmp_path_factory.mktemp("app") / "fault"
        well = modules.settings.Settings(health_fault_file=fault.with_name("none"))
        fault.touch()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # and nothing listens
            there = f"127.0.0.1:{closed.getsockname()[1]}"
            unwell = modules.settings.Settings(
                health_fault_file=fault,
                database_url=f"postgresql://app:hunter2@{there}/app",
                redis_url=f"redis://:hunter2@{there}/0",
            )
            create = modules.main.create_app
            yield SimpleNamespace(well=create(well), unwell=create(unwell))
        for module in MODULES:
            sys.modules.pop(module, None)


@pytest.mark.parametrize("well", [True, False])
def test_every_answer_is_one_that_the_document_names(app: SimpleNamespace, well: bool) -> None:
    """Also where its servers are away and it says of itself that it is not well."""
    described = schemathesis.openapi.from_asgi("/openapi.json", app.well if well else app.unwell)
    asked = set()
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(max_examples=settings.default.max_examples // 6)
        @given(case=operation.as_strategy())
        def ask(case: Case[Any]) -> None:
            # A 503 of the document is what this check takes for a crash.
            answer = case.call_and_validate(excluded_checks=[not_a_server_error])
            assert answer.status_code < 500 or (not well and answer.status_code == 503)

        ask()
        asked.add(operation.label)
    assert {"GET /health", "POST /notes", "DELETE /notes/{note_id}", "GET /slow"} <= asked
