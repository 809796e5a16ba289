"""The app that every variant packages: what its users rely on, without an engine or a database."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

APP = Path(__file__).parent.parent / "app"
MODULES = ("main", "settings", "status", "notes", "visits", "storage")
SECRETS = ("DATABASE_URL", "DATABASE_PASSWORD", "REDIS_URL")
TEXTS = ("APP_NAME", "VERSION")
SWITCHES = ("START_DELAY_SECONDS", "HEALTH_FAULT_FILE")
VARIABLES = (*TEXTS, *SWITCHES, *SECRETS, *(f"{name}_FILE" for name in SECRETS))
ODD_TEXTS = [
    "Docker학습앱",
    "",
    "  spaces  ",
    "\"quoted\" 'too'",
    "two\nlines\n",
    '{"a": 1}',
    "$HOME #x",
]


@pytest.fixture(scope="module")
def app() -> Iterator[SimpleNamespace]:
    """The app's modules, imported from its folder, which is left without a trace."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in VARIABLES:
            patch.delenv(variable, raising=False)
        for module in MODULES:
            patch.delitem(sys.modules, module, raising=False)
        patch.setattr(sys, "dont_write_bytecode", True)  # the folder is a build context
        patch.syspath_prepend(APP)
        yield SimpleNamespace(**{module: import_module(module) for module in MODULES})
        for module in MODULES:
            sys.modules.pop(module, None)


@pytest.fixture
def client(app: SimpleNamespace, tmp_path: Path) -> Iterator[TestClient]:
    settings = app.settings.Settings(health_fault_file=tmp_path / "fault")
    with TestClient(app.main.create_app(settings)) as client:
        yield client


@pytest.fixture
def unreachable(app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The app with servers configured that nothing listens for, and little patience."""
    monkeypatch.setattr(app.notes, "PATIENCE_SECONDS", 0.1)
    port = free_port()
    settings = app.settings.Settings(
        database_url=f"postgresql://app:hunter2@127.0.0.1:{port}/app",
        redis_url=f"redis://:hunter2@127.0.0.1:{port}/0",
    )
    with TestClient(app.main.create_app(settings)) as client:
        yield client


class TestStatus:
    def test_health_fails_while_the_fault_file_exists(
        self, client: TestClient, tmp_path: Path
    ) -> None:
        assert (client.get("/health").status_code, client.get("/health").json()) == (
            200,
            {"status": "ok"},
        )
        (tmp_path / "fault").touch()
        assert client.get("/health").status_code == 503
        (tmp_path / "fault").unlink()
        assert client.get("/health").status_code == 200

    def test_ready_without_anything_configured(self, client: TestClient) -> None:
        response = client.get("/ready")
        assert response.status_code == 200
        assert response.json() == {
            "status": "ready",
            "dependencies": {"postgresql": "not configured", "redis": "not configured"},
        }

    def test_info_says_where_it_runs(self, client: TestClient) -> None:
        info = client.get("/info").json()
        assert info["hostname"] == socket.gethostname()
        assert info["pid"] == os.getpid()
        assert info["user_id"] == os.getuid()
        assert info["python"] == sys.version.split()[0]
        assert isinstance(info["in_container"], bool)
        assert info["storage"] == {"notes": "memory", "visits": "memory"}

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_info_shows_the_variables_of_the_lab_and_no_other(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.setenv("LAB_TEXT", text)
        monkeypatch.setenv("LABEL", "hunter2")
        answer = client.get("/info")
        assert answer.json()["environment"] == {"LAB_TEXT": text}
        assert "hunter2" not in answer.text

    def test_every_link_of_the_greeting_works(self, client: TestClient) -> None:
        for link in client.get("/").json()["links"]:
            assert client.get(link).status_code == 200

    def test_slow_is_bounded(self, client: TestClient) -> None:
        assert client.get("/slow?seconds=0.01").status_code == 200
        assert client.get("/slow?seconds=31").status_code == 422


class TestNotes:
    def test_create_list_delete(self, client: TestClient) -> None:
        created = client.post("/notes", json={"text": "학습 노트\n"})
        assert created.status_code == 201
        note = created.json()
        assert note["text"] == "학습 노트\n"
        assert note["created_at"].endswith("Z")
        assert client.get("/notes").json() == [note]
        assert client.delete(f"/notes/{note['id']}").status_code == 204
        assert client.delete(f"/notes/{note['id']}").status_code == 404
        assert client.get("/notes").json() == []

    def test_ids_are_not_used_twice(self, client: TestClient) -> None:
        first = client.post("/notes", json={"text": "a"}).json()["id"]
        client.delete(f"/notes/{first}")
        assert client.post("/notes", json={"text": "b"}).json()["id"] != first

    @pytest.mark.parametrize("text", ["", "x" * 10_001, "nul \0", None])
    def test_a_text_that_cannot_be_kept_is_refused(
        self, client: TestClient, text: str | None
    ) -> None:
        assert client.post("/notes", json={"text": text}).status_code == 422

    def test_an_id_beyond_bigint_is_refused(self, client: TestClient) -> None:
        assert client.delete(f"/notes/{2**63}").status_code == 422


def test_visits_count(client: TestClient) -> None:
    assert client.get("/visits").json() == {"count": 0}
    assert client.post("/visits").json() == {"count": 1}
    assert client.post("/visits").json() == {"count": 2}
    assert client.get("/visits").json() == {"count": 2}


class TestServersAway:
    """The app starts and lives; only what needs a server fails, and says so."""

    def test_alive_but_not_ready(self, unreachable: TestClient) -> None:
        assert unreachable.get("/health").status_code == 200
        assert unreachable.get("/info").json()["storage"] == {
            "notes": "postgresql",
            "visits": "redis",
        }
        ready = unreachable.get("/ready")
        assert ready.status_code == 503
        assert ready.json()["dependencies"] == {
            "postgresql": "unreachable",
            "redis": "unreachable",
        }

    def test_notes_and_visits_answer_503(self, unreachable: TestClient) -> None:
        notes, visits = unreachable.get("/notes"), unreachable.post("/visits")
        assert (notes.status_code, notes.json()) == (503, {"detail": "PostgreSQL is not available"})
        assert (visits.status_code, visits.json()) == (503, {"detail": "Redis is not available"})

    def test_the_password_is_shown_nowhere(
        self, unreachable: TestClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        answers = [unreachable.get(path).text for path in ("/", "/info", "/ready", "/notes")]
        assert "not available" in caplog.text
        assert "hunter2" not in caplog.text + "".join(answers)


class TestSettings:
    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_texts_come_through_unchanged(
        self, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.setenv("APP_NAME", text)
        monkeypatch.setenv("VERSION", text)
        with TestClient(app.main.create_app(app.settings.load_settings())) as client:
            info = client.get("/info").json()
        assert (info["app_name"], info["version"]) == (text, text)

    def test_empty_means_unset(self, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
        for variable in set(VARIABLES) - set(TEXTS):
            monkeypatch.setenv(variable, "")
        assert app.settings.load_settings() == app.settings.Settings.model_construct()

    def test_dotenv_is_not_read(
        self, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / ".env").write_text("APP_NAME=from-dotenv")
        monkeypatch.chdir(tmp_path)
        assert app.settings.load_settings().app_name != "from-dotenv"

    @pytest.mark.parametrize("ending", ["", "\n", "\r\n"], ids=["none", "LF", "CRLF"])
    def test_a_secret_from_a_file(
        self, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: str
    ) -> None:
        secret = " p@ss/w#rd\r\n학습 "
        file = tmp_path / "secret"
        file.write_bytes(f"{secret}{ending}".encode())
        monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(file))
        assert app.settings.load_settings().database_password.get_secret_value() == secret

    @pytest.mark.parametrize(
        ("url", "password", "received"),
        [
            ("postgresql://app@HOST/notes", "p@ss w'rd", "p@ss w'rd"),
            ("postgres://app:other@HOST/notes?connect_timeout=5&keepalives=1", "x%2F+", "x%2F+"),
            ("postgresql://app:p%40ss+w%2Frd@HOST/notes?sslmode=disable", None, "p@ss+w/rd"),
            ("postgresql://HOST?user=app&dbname=notes&password=a+%26b", None, "a+&b"),
        ],
    )
    def test_the_server_gets_what_the_url_and_the_password_say(
        self, app: SimpleNamespace, url: str, password: str | None, received: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as executor:
            login = executor.submit(read_login, server)
            settings = app.settings.Settings(
                database_url=url.replace("HOST", f"127.0.0.1:{server.getsockname()[1]}"),
                database_password=password,
            )
            with TestClient(app.main.create_app(settings)) as client:
                assert client.get("/notes").status_code == 503
        options, got = login.result()
        assert (options["user"], options["database"], got) == ("app", "notes", received)
        assert not options.keys() & {"connect_timeout", "keepalives", "sslmode"}

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://",
            "postgresql:///notes?host=/run/postgresql",
            "postgresql://app@%2Frun%2Fpostgresql/notes",
            "postgresql://app:x@[::1]:5432,db:5433/notes?target_session_attrs=read-write",
            "postgresql://app@db/notes?application_name=a%20b&options=-csearch_path%3Dx&sslmode=require",
        ],
    )
    def test_usual_urls_are_accepted(self, app: SimpleNamespace, url: str) -> None:
        assert app.settings.Settings(database_url=url).database_url.get_secret_value() == url

    @pytest.mark.parametrize(
        "url",
        [
            "POSTGRESQL://db/x",
            "postgresql://a:100%sure@db/x",
            "postgresql://a:b%00@db/x",
            "postgresql://a:b@db/x#y",
            "postgresql://a:b@[::1/x",
            "postgresql://a:b@db,,db2/x",
            "postgresql://a:b@db/x?port=hunter2",
            "postgresql://a:b@db/x?no_such_parameter=1",
            "postgresql://a:b@db/x?sslmode",
        ],
    )
    def test_unusable_urls_are_refused(self, app: SimpleNamespace, url: str) -> None:
        with pytest.raises(ValidationError, match="not a URL like postgresql://"):
            app.settings.Settings(database_url=url)

    @pytest.mark.parametrize(
        ("environment", "message"),
        [
            ({"DATABASE_URL": "x", "DATABASE_URL_FILE": "/x"}, "DATABASE_URL_FILE, not both"),
            ({"REDIS_URL_FILE": "/no/such/file"}, "REDIS_URL_FILE: cannot read /no/such/file"),
            ({"DATABASE_URL": "hunter2"}, "DATABASE_URL: not a URL like"),
            ({"DATABASE_URL": "postgresql+psycopg://a:hunter2@db/x"}, "DATABASE_URL: not a URL"),
            # Parts of these passwords would end up in a driver's message about host or port.
            ({"DATABASE_URL": "postgresql://a:x@hunter2@db/x"}, "DATABASE_URL: not a URL like"),
            ({"DATABASE_URL": "postgresql://a:hunter2/x@db/x"}, "DATABASE_URL: not a URL like"),
            ({"DATABASE_URL": "postgresql://a:hunter2"}, "DATABASE_URL: not a URL like"),
            ({"REDIS_URL": "redis://:hunter2#x@redis"}, "REDIS_URL: not a URL like"),
            ({"START_DELAY_SECONDS": "soon"}, "START_DELAY_SECONDS: Input should be a valid"),
            ({"START_DELAY_SECONDS": "-1"}, "START_DELAY_SECONDS: Input should be greater"),
            ({"APP_NAME": "\udcff"}, "APP_NAME: not UTF-8 text"),
        ],
    )
    def test_a_mistake_ends_the_start_with_one_sentence(
        self,
        app: SimpleNamespace,
        monkeypatch: pytest.MonkeyPatch,
        environment: dict[str, str],
        message: str,
    ) -> None:
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        with pytest.raises(SystemExit) as stop:
            app.settings.load_settings()
        assert str(stop.value).startswith("Cannot start: ")
        assert message in str(stop.value)
        assert "hunter2" not in str(stop.value)


class TestUvicorn:
    """The real server, as the variants and the README start it."""

    def test_start_delay_and_clean_stop(self) -> None:
        begin = time.monotonic()
        with uvicorn(APP, START_DELAY_SECONDS="0.2", APP_NAME="Docker학습앱") as (server, url):
            info = answer(f"{url}/info", lambda response: response.is_success).json()
            assert time.monotonic() - begin > 0.2
            assert info["app_name"] == "Docker학습앱"
            server.terminate()
            log, _ = server.communicate(timeout=5)
        assert "shutdown complete" in log

    def test_a_mistake_in_the_environment_shows_no_traceback(self) -> None:
        with uvicorn(APP, REDIS_URL_FILE="/nowhere") as (server, _):
            log, _ = server.communicate(timeout=5)
        assert server.returncode == 1
        reason = "REDIS_URL_FILE: cannot read /nowhere (No such file or directory)"
        assert log == f"Cannot start: {reason}.\n"

    def test_an_edit_is_live_with_reload(self, tmp_path: Path) -> None:
        folder = tmp_path / "app"
        shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
        with uvicorn(folder, "--reload", "--reload-delay", "0.05") as (_, url):
            assert "Hello" in answer(url, lambda response: response.is_success).text
            main = folder / "main.py"
            main.write_text(main.read_text().replace("Hello", "Good morning"))
            answer(url, lambda response: "Good morning" in response.text)


@contextmanager
def uvicorn(
    folder: Path, *options: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), *options],
        cwd=folder,
        env=inherited | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.communicate(timeout=5)


def answer(url: str, wanted: Callable[[httpx.Response], bool]) -> httpx.Response:
    """The first answer that is as wanted."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            response = httpx.get(url, trust_env=False)
        except httpx.TransportError:
            pass
        else:
            if wanted(response):
                return response
        time.sleep(0.02)
    raise AssertionError(f"{url} did not answer as wanted within 10 s")


def read_login(server: socket.socket) -> tuple[dict[str, str], str]:
    """Be a PostgreSQL without TLS that asks for the password, and then hangs up."""
    server.settimeout(5)
    connection, _ = server.accept()
    with connection, connection.makefile("rwb", buffering=0) as stream:

        def read_message() -> bytes:
            return stream.read(int.from_bytes(stream.read(4)) - 4)

        startup = read_message()
        if startup == (80877103).to_bytes(4):  # a request for TLS
            stream.write(b"N")
            startup = read_message()
        words = startup[4:].decode().rstrip("\0").split("\0")
        stream.write(b"R" + (8).to_bytes(4) + (3).to_bytes(4))
        assert stream.read(1) == b"p"
        return dict(zip(words[::2], words[1::2], strict=True)), read_message()[:-1].decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
