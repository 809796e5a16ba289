"""Settings, all of them environment variables.

APP_NAME, VERSION      what /info shows, exactly as given
DATABASE_URL           postgresql://USER:PASSWORD@HOST:5432/NAME; without it, notes stay in memory
DATABASE_PASSWORD      the password for DATABASE_URL, which then need not hold one
REDIS_URL              redis://:PASSWORD@HOST:6379/0; without it, visits are counted in memory

Each of the last three may be in a file, as Docker's secrets are: DATABASE_URL_FILE,
DATABASE_PASSWORD_FILE and REDIS_URL_FILE hold its path.

Switches for experiments, off by default:

START_DELAY_SECONDS    how long the app waits before it serves
HEALTH_FAULT_FILE      while this file exists, /health answers 503 (/tmp/health-fault)

LAB_…                  /info shows every variable whose name begins so, and no other

An empty variable counts as unset, except that APP_NAME and VERSION may be empty.
"""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.asyncio.connection import parse_url

TEXTS = ("app_name", "version")
SECRETS = ("database_url", "database_password", "redis_url")

# What DATABASE_URL may have after its `?`, named as libpq does. The second are for libpq alone.
PARAMETERS = re.compile(
    "host|port|dbname|user|password|passfile|application_name|options|target_session_attrs|"
    "ssl(mode|cert|key|password|rootcert|crl|_min_protocol_version|_max_protocol_version)"
)
IGNORED_PARAMETERS = re.compile(
    "connect_timeout|tcp_user_timeout|keepalives(_idle|_interval|_count)?"
)
HOST = r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:,]+)(:[0-9]+)?"
HOSTS = re.compile(rf"({HOST}(,{HOST})*)?")
BAD_ESCAPE = re.compile(r"%(00|(?![0-9A-Fa-f]{2}))")


class Settings(BaseSettings):
    """The environment, checked; no error quotes a value, which could be a password."""

    model_config = SettingsConfigDict(frozen=True)

    app_name: str = "layerlab-app"
    version: str = "0.1.0"

    database_url: SecretStr | None = None
    database_url_file: Path | None = None
    database_password: SecretStr | None = None
    database_password_file: Path | None = None
    redis_url: SecretStr | None = None
    redis_url_file: Path | None = None

    start_delay_seconds: float = Field(default=0, ge=0, allow_inf_nan=False)
    health_fault_file: Path = Path("/tmp/health-fault")

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_and_read_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        # Compose can empty a variable (`${REDIS_URL:-}`), but it cannot unset one.
        values = {name: value for name, value in given.items() if value != "" or name in TEXTS}
        for name in SECRETS:
            if path := values.get(f"{name}_file"):
                if name in values:
                    raise ValueError(f"set {name.upper()} or {name.upper()}_FILE, not both")
                values[name] = read_secret(f"{name.upper()}_FILE", Path(path))
        return values

    @field_validator(*TEXTS)
    @classmethod
    def _read_as_utf8(cls, text: str) -> str:
        # Whatever the locale: Python has decoded the variable with the locale's encoding.
        try:
            return os.fsencode(text).decode()
        except UnicodeDecodeError:
            raise ValueError("not UTF-8 text") from None

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not is_postgresql_url(url.get_secret_value()):
            raise ValueError(bad_url("postgresql://USER:PASSWORD@HOST:5432/NAME"))
        return url

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not is_redis_url(url.get_secret_value()):
            raise ValueError(bad_url("redis://:PASSWORD@HOST:6379/0"))
        return url

    @property
    def database_dsn(self) -> SecretStr | None:
        """DATABASE_URL as asyncpg understands it; DATABASE_PASSWORD goes beside it."""
        return self.database_url and SecretStr(asyncpg_dsn(self.database_url.get_secret_value()))


def load_settings() -> Settings:
    """Read the environment, or end the program with one sentence that says what is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            ": ".join([*(str(name).upper() for name in problem["loc"]), problem["msg"]])
            for problem in error.errors(include_url=False, include_input=False)
        )
    raise SystemExit(f"Cannot start: {problems.replace('Value error, ', '')}.")


def read_secret(variable: str, path: Path) -> str:
    """The text of a secret's file, without the newline that editors and `echo` put at its end."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ValueError(f"{variable}: cannot read {path} ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(f"{variable}: {path} is not UTF-8 text") from None
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def is_postgresql_url(url: str) -> bool:
    """Whether libpq would take it, but for rarities. The driver would look only when it connects."""
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        return False
    return (
        url.startswith(("postgresql://", "postgres://"))
        and password_is_where_it_should_be(url)
        and "#" not in url
        and BAD_ESCAPE.search(url) is None
        and HOSTS.fullmatch(parts.netloc.rpartition("@")[2]) is not None
        and all(PARAMETERS.fullmatch(n) or IGNORED_PARAMETERS.fullmatch(n) for n in query)
        and all(port.isdecimal() for ports in query.get("port", []) for port in ports.split(","))
    )


def asyncpg_dsn(url: str) -> str:
    """The URL without what asyncpg would send to the server, and with each `+` safe from it."""
    parts = urlsplit(url.replace("+", "%2B"))  # in a query, asyncpg reads `+` as a space
    fields = parts.query.split("&")
    kept = [field for field in fields if not IGNORED_PARAMETERS.match(field)]
    return parts._replace(query="&".join(kept)).geturl()


def is_redis_url(url: str) -> bool:
    try:
        parse_url(url)
    except ValueError:
        return False
    return password_is_where_it_should_be(url)


def password_is_where_it_should_be(url: str) -> bool:
    """Whether no `@`, `/`, `?` or `#` in the password moved a part of it into host, port or path.

    Drivers name these in their errors, and so would write that part into the log.
    """
    return url.count("@") == urlsplit(url).netloc.count("@") <= 1


def bad_url(example: str) -> str:
    return f"not a URL like {example}, with special characters in the password percent-encoded"
