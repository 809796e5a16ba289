"""Who reaches whom in a stack: names and ports as each service has them, against what the file promises."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from layerlab.engine.command import run as run_command
from layerlab.engine.endpoint import version_tuple
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import container, diagnosis, questions
from layerlab.run.confined import is_closed
from layerlab.run.stack import Stack

#: The engine's own machine, and a server there that is in none of the stack's networks.
HOST, OUTSIDE = "host", "outside"
PORTS = {"web": 8000, "database": 5432, "cache": 6379}
_GATEWAY_MODES = tuple(f"com.docker.network.bridge.gateway_mode_ipv{v}" for v in (4, 6))
_SECONDS = 30

_ASK = (
    questions.PROGRAM
    + """
import json, socket, sys
QUESTIONS[0] = (b"who is there\\n", b"layerlab")
def answers(address, port, kind):
    question, good = QUESTIONS[kind]
    try:
        with socket.create_connection((address, port), 2) as there:
            there.settimeout(2)
            there.sendall(question)
            return there.recv(len(good)) == good
    except OSError:
        return False
told = {}
for name, hosts, port, kind in json.loads(sys.argv[1]):
    found = []
    for host in hosts:
        try:
            found += [one[4][0] for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except OSError:
            pass
    told[name] = {"resolves": bool(found), "answers": any(answers(a, port, kind) for a in set(found))}
print(json.dumps(told))
"""
)
#: Listens on the engine's machine, and tells where it can be reached from another network. A machine without
#: a way out is asked for the address of an interface that is of no network of a user's (br-…, veth…).
_OUTSIDE = """
import fcntl, json, socket, struct, sys, time
def address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.connect(("192.0.2.1", 9))  # sends nothing; RFC 5737 says that nobody is there
            return way.getsockname()[0]
        except OSError:
            pass
        for _, name in socket.if_nameindex():
            if name == "lo" or name.startswith(("br-", "veth")):
                continue
            try:
                told = fcntl.ioctl(way.fileno(), 0x8915, struct.pack("256s", name.encode()))
            except OSError:
                continue  # it has no address (SIOCGIFADDR, netdevice(7))
            return socket.inet_ntoa(told[20:24])
    sys.exit("this machine has no address but that of its own loopback and of Docker's networks")
here = socket.create_server(("", 0))
print(json.dumps([address(), here.getsockname()[1]]), flush=True)
while True:
    there, _ = here.accept()
    with there:
        there.sendall(b"layerlab\\n")
"""


@dataclass(frozen=True)
class Reach:
    """What one service sees of another."""

    #: Whether the other's name resolves; of the host, which has no such names, it is not asked.
    resolves: bool
    #: Whether the other's port answers in its protocol.
    answers: bool


Matrix = Mapping[tuple[str, str], Reach]


def promised(config: Mapping[str, Any], *, leaky: bool = False) -> dict[tuple[str, str], Reach]:
    """Who is to reach whom, by a project as `docker compose config` gives it.

    Services that share a network reach each other; one that has a network which is not internal
    reaches the outside. The engine's machine has an address in every network of its own, also an internal one
    (https://docs.docker.com/reference/cli/docker/network/create/#internal), save where the gateway mode
    is `isolated`. On a ``leaky`` engine an internal network has a way to all of that machine's addresses.
    """
    networks = {name: set(one.get("networks") or {}) for name, one in config["services"].items()}
    about: Mapping[str, Any] = config.get("networks") or {}
    internal = {name for name, one in about.items() if one.get("internal") or is_closed(one)}
    closed = {name for name in internal if _isolated(about[name])}
    found = {}
    for one in PORTS:
        for other in PORTS:
            shared = one == other or bool(networks[one] & networks[other])
            found[one, other] = Reach(shared, shared)
        found[one, OUTSIDE] = Reach(True, leaky or bool(networks[one] - internal))
        found[HOST, one] = Reach(False, bool(networks[one] - closed))
    return found


def leaky(engine: str) -> bool:
    """Whether a version's internal networks have a way to the engine's machine (measured on 20.10.24; not on 23)."""
    return version_tuple(engine) < (23,)


def _isolated(network: Mapping[str, Any]) -> bool:
    options = network.get("driver_opts") or {}
    return any(options.get(mode) == "isolated" for mode in _GATEWAY_MODES)


def measured(stack: Stack, run: Run, image: str) -> dict[tuple[str, str], Reach]:
    """Who does reach whom: asked from inside each service's own network, by a container of ``image``.

    Raises:
        LabError: a container does not run.
    """
    about = {service: stack.inspect(service) for service in PORTS}
    addresses = {
        service: [one["IPAddress"] for one in inspected["NetworkSettings"]["Networks"].values()]
        for service, inspected in about.items()
    }
    with _outside(stack, run, image) as (address, port):
        beyond = (OUTSIDE, [address], port, 0)
        by_name = [(name, [name], port, port) for name, port in PORTS.items()]
        by_address = [(name, addresses[name], port, port) for name, port in PORTS.items()]

        def ask(one: str) -> dict[str, Any]:
            if one == HOST:
                return _asked(stack, run, image, "host", by_address)
            return _asked(stack, run, image, f"container:{about[one]['Id']}", [*by_name, beyond])

        with ThreadPoolExecutor() as pool:
            told = dict(zip([*PORTS, HOST], pool.map(ask, [*PORTS, HOST]), strict=True))
    return {
        (one, other): Reach(one != HOST and said["resolves"], said["answers"])
        for one, row in told.items()
        for other, said in row.items()
    }


def published(stack: Stack) -> list[str]:
    """The services that have a port on the engine's machine."""
    ports = {name: stack.inspect(name)["NetworkSettings"]["Ports"] or {} for name in PORTS}
    return [name for name, found in ports.items() if any(found.values())]


def _asked(
    stack: Stack,
    run: Run,
    image: str,
    network: str,
    targets: Sequence[tuple[str, list[str], int, int]],
) -> dict[str, Any]:
    words = ["run", "--rm", "--pull", "never", "--network", network, *_limits(run)]
    said = run_command(
        stack.endpoint.command(*words, image, "python", "-c", _ASK, json.dumps(targets)),
        doing=f"asking from the network of {network[:20]}",
        environ=stack.endpoint.environ(),
        timeout=_SECONDS,
    )
    found: dict[str, Any] = json.loads(said)
    return found


@contextmanager
def _outside(stack: Stack, run: Run, image: str) -> Iterator[tuple[str, int]]:
    """A server on the engine's machine: its address and port."""
    name = f"{stack.name}-outside"
    words = ["run", "--detach", "--pull", "never", "--network", "host", "--name", name]
    words += [*_limits(run), image, "python", "-c", _OUTSIDE]
    try:
        stack.endpoint.run(*words, doing="starting a server outside")
        yield _told(stack, name)
    finally:
        container.remove(stack.endpoint, name)


def _told(stack: Stack, name: str) -> tuple[str, int]:
    """Where the server outside says that it listens."""
    deadline = time.monotonic() + _SECONDS
    while True:
        # Its state first: what it says before it ends is then in its log.
        state = diagnosis.inspect(stack.endpoint, name)["State"]["Status"]
        said = stack.endpoint.run("logs", name, doing="reading the address of the server outside")
        if said.endswith("\n"):
            address, port = json.loads(said)
            return str(address), int(port)
        how = "ended" if state in ("exited", "dead") else ""
        if not how and time.monotonic() > deadline:
            how = f"did not begin in {_SECONDS} s"
        if how:
            tail = diagnosis.log_tail(stack.endpoint, name)
            raise LabError(f"the server outside of the stack {how}{tail}")
        time.sleep(0.05)


def _limits(run: Run) -> list[str]:
    limits = ["--memory", container.MEMORY, "--pids-limit", str(container.PIDS)]
    return [*run.label_words, *limits, "--no-healthcheck"]


def differences(config: Mapping[str, Any], found: Matrix, *, leaky: bool = False) -> list[str]:
    """Where the network is not as the file promises, for people; ``leaky`` as in :func:`promised`."""
    told = []
    for pair, wanted in promised(config, leaky=leaky).items():
        got = found[pair]
        if got.answers != wanted.answers:
            verb = "reaches" if got.answers else "does not reach"
            told.append(f"{pair[0]} {verb} {pair[1]}, and the file promises otherwise")
        elif pair[0] != HOST and pair[1] != OUTSIDE and got.resolves != wanted.resolves:
            verb = "resolves" if got.resolves else "does not resolve"
            told.append(f"{pair[0]} {verb} the name {pair[1]}, and the file promises otherwise")
    return told
