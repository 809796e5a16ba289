"""How a container is stopped: what `docker stop` does to its first process, its app and its requests."""

import json
import shlex
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import PurePosixPath

from layerlab.build.dockerfile import Instruction
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.run import asking, diagnosis
from layerlab.run.container import Container
from layerlab.text import plain, shorten

#: Seconds from SIGTERM to SIGKILL unless `docker run` says otherwise; an image can't
#: (docs.docker.com/reference/cli/docker/container/stop).
GRACE_SECONDS = 10
CLEAN, ABRUPT, KILLED = "clean", "abrupt", "killed"
ANSWERED, LOST, REFUSED = "answered", "lost", "refused"
#: What the app says when its shutdown hook has run, and uvicorn when it has started (app/main.py).
_HOOK, _STARTED = "shutdown complete", "Application startup complete"
#: Lines of the log in which these are looked for.
_LINES = 1000
#: A request that is in flight when the stop comes, and how long it has been then.
FLIGHT_SECONDS, _UNDER_WAY_SECONDS = 1.2, 0.4
#: So long before its grace ends a container that still runs is sent a request; sooner, an app that is only
#: slow to hear of the stop would take it and be killed for it.
LATE_SECONDS = 2
#: The longest that the app's /slow has; it outlasts the grace.
_LONGEST_SECONDS = 30
#: A proxy in front of the app takes any connection, and drops it at once when the app takes none.
_AT_ONCE_SECONDS = 0.3
_SLACK_SECONDS = 30
SHELLS = ("sh", "dash", "bash", "ash", "busybox", "ksh", "zsh")
INITS = ("docker-init", "tini", "tini-static", "dumb-init", "catatonit")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Stop:
    """One `docker stop`."""

    #: Until the command has returned.
    seconds: float
    exit_code: int
    #: Whether the engine had to kill it at the end of its grace.
    killed: bool
    #: Whether the app's shutdown hook ran; None where the log can't say it.
    hook: bool | None
    #: What became of the requests that were in flight or sent meanwhile.
    requests: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """CLEAN: the app's hook ran; KILLED: at the end of the grace; ABRUPT: at once, without the hook.

        Where the log can't say whether the hook ran, exit code 0 counts as clean.
        """
        if self.killed:
            return KILLED
        return CLEAN if self.hook or (self.hook is None and self.exit_code == 0) else ABRUPT

    @property
    def request(self) -> str | None:
        """LOST if a request was lost that the app had taken, else ANSWERED; None where none was."""
        if LOST in self.requests:
            return LOST
        return ANSWERED if ANSWERED in self.requests else None


def first_process(endpoint: Endpoint, name: str) -> str:
    """The name of the program that is PID 1 in a container, with links resolved: `dash`, not `sh`."""
    words = ("exec", name, "readlink", "-f", "/proc/1/exe")
    try:
        said = endpoint.run(*words, doing="looking at PID 1", timeout=20).strip()
        return shorten(plain(PurePosixPath(said).name), 40) or UNKNOWN
    except LabError:
        return _first_of_list(endpoint, name)


def _first_of_list(endpoint: Endpoint, name: str) -> str:
    """As the engine's host lists it, for an image without `readlink`: by the name it was called by."""
    try:
        said = endpoint.run("top", name, "-o", "pid,args", doing="docker top", timeout=20)
        first = str(diagnosis.inspect(endpoint, name)["State"]["Pid"])
    except LabError:
        return UNKNOWN
    found = [words for line in said.splitlines() if (words := line.split()) and words[0] == first]
    return shorten(plain(PurePosixPath(found[0][1]).name), 40) if found else UNKNOWN


def stop(endpoint: Endpoint, app: Container, *, in_flight: bool) -> Stop:
    """Stop a container as `docker stop` does, with a request in flight or without.

    One that still runs shortly before the end of its grace is sent a further request: an app that was told
    to stop refuses it.

    Raises:
        LabError: the container had ended by itself, was killed for its memory, or the engine fails.
    """
    before = diagnosis.inspect(endpoint, app.name)
    if told := diagnosis.ended(endpoint, app.name, answered=True):
        raise LabError(told)
    with ThreadPoolExecutor(2) as pool:
        flight = _take_off(pool, app.url) if in_flight else None
        stopping = pool.submit(docker_stop, endpoint, app.name)
        wait([stopping], timeout=GRACE_SECONDS - LATE_SECONDS)
        requests = [] if stopping.done() else [_ask(app.url, _LONGEST_SECONDS)]
        seconds = stopping.result()
        requests += [flight.result()] if flight else []
    state = diagnosis.inspect(endpoint, app.name)["State"]
    if state["OOMKilled"] and (told := diagnosis.ended(endpoint, app.name, answered=True)):
        raise LabError(told)
    code = int(state["ExitCode"])
    return Stop(
        seconds=seconds,
        exit_code=code,
        killed=code == 137 and seconds >= GRACE_SECONDS,
        hook=_hook(endpoint, app.name, since=str(before["State"]["StartedAt"])),
        requests=tuple(requests),
    )


def docker_stop(endpoint: Endpoint, name: str) -> float:
    """Stop a container; returns how many seconds the command took.

    Raises:
        LabError: the engine fails.
    """
    begun = time.monotonic()
    endpoint.run("stop", name, doing="docker stop", timeout=GRACE_SECONDS + _SLACK_SECONDS)
    return time.monotonic() - begun


def _take_off(pool: ThreadPoolExecutor, url: str) -> Future[str] | None:
    """A request that is in flight now; None where the app answers /slow at once, as one without it does."""
    connected = threading.Event()
    flight = pool.submit(_ask, url, FLIGHT_SECONDS, connected)
    connected.wait(_SLACK_SECONDS)
    time.sleep(_UNDER_WAY_SECONDS)
    return None if flight.done() else flight


def _ask(url: str, seconds: float, connected: threading.Event | None = None) -> str:
    """What becomes of a request that the app takes ``seconds`` to answer.

    With ``connected`` it goes over a connection on which the app has answered before, and tells so.
    """
    begun = time.monotonic()
    try:
        with asking.asking(url) as asker:
            if connected:
                asker.get("/", _SLACK_SECONDS)
                begun = time.monotonic()
                connected.set()
            asker.get(f"/slow?seconds={seconds:g}", seconds + _SLACK_SECONDS)
        return ANSWERED
    except asking.NoConnection:
        return REFUSED
    except asking.FAILURES:
        return LOST if time.monotonic() - begun > _AT_ONCE_SECONDS else REFUSED
    finally:
        # What waits for it is not kept by a request that failed before.
        if connected:
            connected.set()


def _hook(endpoint: Endpoint, name: str, since: str) -> bool | None:
    said = diagnosis.log_tail(endpoint, name, _LINES, since=since)
    if _HOOK in said:
        return True
    return False if _STARTED in said else None


def remedy(launching: Sequence[Instruction], first: str) -> str:
    """What to change so that SIGTERM reaches the app, by what starts PID 1 and what PID 1 is."""
    shell_form = next((one for one in launching if one.words is None), None)
    if shell_form and first in (*SHELLS, *INITS, UNKNOWN):
        return (
            f"{shell_form.keyword} in shell form is run by /bin/sh -c, and a shell passes no signal on: "
            f"write {_exec_form(shell_form)}"
        )
    if first in SHELLS:
        return (
            'A shell passes no signal on to what it starts: let its script end with `exec "$@"`, or '
            "put `exec` before its last command"
        )
    if first in INITS:
        return f"{first} passes SIGTERM to its own child alone: let that be the app, not a shell"
    return (
        "PID 1 is not ended by a signal that it does not handle: let the app shut down on SIGTERM, as "
        "uvicorn does"
    )


def _exec_form(instruction: Instruction) -> str:
    """A command of shell form as a list; only an example where the shell has something to do."""
    if not set(instruction.value) & set("$&|;<>()`*?[]{}~\\'\"=\n"):
        words = shlex.split(instruction.value)
        return f"{instruction.keyword} {json.dumps(words, ensure_ascii=False)}"
    return f'a list in double quotes ({instruction.keyword} ["uvicorn", …]), or `exec` before the command'


def culprit(launching: Sequence[Instruction]) -> int:
    """The line of the instruction that decides what PID 1 is; 0 where the base image decides it."""
    shell_form = [one.line for one in launching if one.words is None]
    return next(iter(shell_form + [one.line for one in launching]), 0)
