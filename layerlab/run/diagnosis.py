"""Why a container does not serve: what the engine and the container itself say of it."""

import re
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import docker.errors
import requests.exceptions

from layerlab.engine.command import last_lines
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run import confined, usage
from layerlab.run.usage import Usage
from layerlab.text import plain, shorten

LOG_LINES = 8
#: The last lines in which a reason is looked for.
_SEARCHED_LINES = 50
#: No app that starts has so much to say.
_FLOOD_BYTES = 1_000_000
_LINE = 300
_SECONDS = 20
#: The state of a listening socket, in hexadecimal, in /proc/net/tcp (Linux, include/net/tcp_states.h).
_LISTENS = "0A"
#: What the shells and Docker itself say of a command that can't be run (POSIX, Shell, 2.8.2).
_CODES = {126: "its command can't be executed", 127: "its command was not found"}
#: What is said of a process or thread that the pids limit did not let start (EAGAIN, fork(2)).
_NO_MORE = re.compile(
    r"Resource temporarily unavailable|can.?t (fork|start new thread)|cannot fork", re.IGNORECASE
)


@dataclass(frozen=True)
class Listener:
    """A TCP socket of a container that accepts connections."""

    address: str
    port: int

    @property
    def local(self) -> bool:
        """Whether it hears only what comes from inside the container."""
        return self.address.startswith("127.") or self.address == "::1"


def refused(said: str) -> str | None:
    """What is wrong with an image that `docker run` would not start, by what Docker said of it."""
    if re.search("no command specified", said, re.IGNORECASE):
        return (
            "the image has no CMD and no ENTRYPOINT, so there is nothing to run: end the Dockerfile "
            'with one, such as CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]'
        )
    if match := re.search(r'exec: \\?"(.+?)\\?":', said):
        return (
            f"its command `{plain(match[1])}` can't be run in the image: install it there, or name "
            "one that is on its PATH and executable"
        )
    return None


def ended(endpoint: Endpoint, name: str, *, answered: bool = False) -> str | None:
    """How a container has ended, before or after it ``answered``, as a clause; None while it runs.

    Raises:
        LabError: the engine does not answer.
    """
    found = inspect(endpoint, name)
    state, limits = found["State"], found["HostConfig"]
    if state["Running"] or state["Status"] == "created":
        return None
    when = f"{'after' if answered else 'before'} it answered"
    if told := confined.disk_limit(endpoint, found):
        return f"the app was killed {when}: {told}"
    return ending(
        int(state["ExitCode"]),
        when=when,
        out_of_memory=bool(state["OOMKilled"]),
        memory_bytes=int(limits.get("Memory") or 0),
        processes=int(limits.get("PidsLimit") or 0),
        said=log_tail(endpoint, name, _SEARCHED_LINES),
    )


def ending(
    code: int,
    *,
    when: str,
    out_of_memory: bool,
    memory_bytes: int = 0,
    processes: int = 0,
    said: str = "",
) -> str:
    """How a container's end is told: by its exit code, whether a process was killed for memory, and its log.

    ``memory_bytes`` and ``processes`` are its limits, 0 where it has none.
    """
    if out_of_memory:
        return (
            f"the app was killed by its memory limit of {memory_bytes >> 20} MiB {when} (exit code {code}): "
            "it needs more than layerlab allows, or it leaks"
        )
    if code and processes and _NO_MORE.search(said):
        return (
            f"the app ended {when} (exit code {code}): it may have {processes} processes and threads, and "
            "tried to start more"
        )
    why = f": {_CODES[code]}" if code in _CODES else ""
    return f"the app ended {when} (exit code {code}{why})"


def silent(endpoint: Endpoint, name: str, port: int) -> str:
    """Why a running container does not answer on ``port``, with what to do, as a clause."""
    return silence(listeners(endpoint, name), port, usage.of(endpoint, name), flood(endpoint, name))


def silence(
    heard: Sequence[Listener] | None,
    port: int,
    used: Usage | None = None,
    flooding: str | None = None,
) -> str:
    """Why nothing answers on ``port``, by the sockets that listen in the container.

    ``heard`` is None where the container could not be asked, ``used`` where the engine can't say;
    ``flooding`` is what :func:`flood` tells.
    """
    if used and (told := crowd(used)):
        return told
    if flooding and not heard:
        return f"{flooding}; it listens on no port"
    if heard is None:
        return f"see to it that it listens on 0.0.0.0:{port}"
    if [one for one in heard if one.port == port and not one.local]:
        return f"it listens on port {port}, and does not answer a request"
    if near := [one for one in heard if one.port == port]:
        return (
            f"it listens on {near[0].address}:{port} only, where nobody outside the container reaches it: "
            "let it listen on 0.0.0.0 (uvicorn: --host 0.0.0.0)"
        )
    if heard:
        others = ", ".join(sorted({f"{one.address}:{one.port}" for one in heard}))
        return f"it listens on {others} and not on port {port}: change the port in CMD to {port}"
    return f"it listens on no port: it is not up yet, or waits for something; port {port} is asked"


def listeners(endpoint: Endpoint, name: str) -> list[Listener] | None:
    """The sockets that listen in a container; None where it has no `cat` to be asked with."""
    found: list[Listener] = []
    asked = False
    for table in ("tcp", "tcp6"):
        try:
            words = ("exec", name, "cat", f"/proc/net/{table}")
            said = endpoint.run(*words, doing="reading the sockets", timeout=_SECONDS)
        except LabError:
            continue
        asked = True
        found += listening(said)
    return found if asked else None


def listening(table: str) -> list[Listener]:
    """The listening sockets in the text of /proc/net/tcp or tcp6.

    Addresses are hexadecimal words of 32 bits in the machine's order, here little-endian
    (Linux, Documentation/networking/proc_net_tcp.rst). Docker's own resolver, which listens on 127.0.0.11
    in containers of a user's network, is left out.
    """
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or fields[3] != _LISTENS:
            continue
        address, _, port = fields[1].partition(":")
        packed = bytes.fromhex(address)
        words = b"".join(packed[at : at + 4][::-1] for at in range(0, len(packed), 4))
        family = socket.AF_INET if len(words) == 4 else socket.AF_INET6
        text = socket.inet_ntop(family, words)
        if text != "127.0.0.11":
            found.append(Listener(text, int(port, 16)))
    return found


def inspect(endpoint: Endpoint, name: str) -> dict[str, Any]:
    """What the engine says of a container.

    Raises:
        LabError: it is not there, or the engine does not answer.
    """
    client = endpoint.connect()
    try:
        found: dict[str, Any] = client.api.inspect_container(name)
        return found
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise LabError(f"looking at the container {name}: {error}") from error
    finally:
        client.close()


def crowd(used: Usage) -> str | None:
    """That a container has as many processes as it may have, as a clause; None where it has fewer."""
    if used.processes_limit and used.processes >= used.processes_limit:
        return (
            f"it has {used.processes} processes and threads and may have no more: something starts "
            "processes without end"
        )
    return None


def flood(endpoint: Endpoint, name: str) -> str | None:
    """That a container writes too much log, as a clause; None where it does not."""
    read = 0
    client = endpoint.connect(timeout=_SECONDS)
    try:
        for chunk in client.api.logs(name, stream=True, follow=False):
            read += len(chunk)
            if read > _FLOOD_BYTES:
                return (
                    f"it floods its log (more than {_FLOOD_BYTES // 10**6} MB at its start), which "
                    "fills the disk of a host that limits no log: log less"
                )
    except (docker.errors.DockerException, requests.exceptions.RequestException):
        pass  # What can't be read is no flood; the engine's failure shows elsewhere.
    finally:
        client.close()
    return None


def log_tail(endpoint: Endpoint, name: str, lines: int = LOG_LINES, since: str = "") -> str:
    """The last lines of a container's log, to be put after a sentence; ``since`` a time of the engine's."""
    words = ["logs", "--tail", str(lines), *(["--since", since] if since else []), name]
    try:
        said = subprocess.run(
            endpoint.command(*words),
            env=endpoint.environ(),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return ""
    if said.returncode != 0:
        return ""
    return last_lines(
        "\n".join(shorten(line, _LINE) for line in plain(said.stdout).splitlines()), lines
    )
