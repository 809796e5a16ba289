"""The link between the host's network and the private engine's own network namespace."""

import ipaddress
import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from layerlab.engine.command import run
from layerlab.engine.root import as_root
from layerlab.engine.tools import Tools
from layerlab.errors import LabError

#: What the names of links begin with.
PREFIX = "lab"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
#: Links of private engines are cut from here; 198.18.0.0/15 is set aside for benchmarks between
#: networks (RFC 2544), so a real network seldom uses it.
POOL = ipaddress.ip_network("198.18.0.0/20")
#: Ports that engines give containers which ask for any: a block for each engine, since all of them
#: answer on the host's one loopback, and below those that Linux gives its own connections (32768 on).
FIRST_PORT, PORTS, BLOCKS = 20_000, 800, 15


@dataclass(frozen=True)
class Link:
    """A veth pair: ``gateway`` is the host's end, ``address`` the engine's."""

    name: str
    network: str
    mtu: int

    @property
    def gateway(self) -> str:
        return str(ipaddress.ip_network(self.network)[1])

    @property
    def address(self) -> str:
        return str(ipaddress.ip_network(self.network)[2])

    @property
    def ports(self) -> tuple[int, int]:
        """The first and the last port of this engine's block."""
        number = int(ipaddress.ip_network(self.network)[0]) - int(POOL[0])
        first = FIRST_PORT + (number // 4 % BLOCKS) * PORTS
        return first, first + PORTS - 1

    def rules(self) -> list[list[str]]:
        """The packet filter rules on the host, lowest first: each is put above the one before.

        The engine and its containers reach what they ask for, but no other engine of ours. What this host
        did not ask for never comes in: a neighbour on its network could send packets for the
        engine's addresses to it, and it forwards (FORWARDING).
        """
        note = ["-m", "comment", "--comment", self.name]
        answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
        return [
            ["nat", "POSTROUTING", "-s", self.network, *note, "-j", "MASQUERADE"],
            ["filter", "FORWARD", "-i", self.name, *note, "-j", "ACCEPT"],
            ["filter", "FORWARD", "-o", self.name, *note, "-j", "DROP"],
            ["filter", "FORWARD", "-o", self.name, *answers, *note, "-j", "ACCEPT"],
            ["filter", "FORWARD", "-i", self.name, "-o", f"{PREFIX}+", *note, "-j", "DROP"],
            [
                "filter",
                "FORWARD",
                "-i",
                self.name,
                "-o",
                f"{PREFIX}+",
                *answers,
                *note,
                "-j",
                "ACCEPT",
            ],
        ]


def free_network(taken: Iterable[str]) -> str:
    """The first /30 of the pool that no route of the host overlaps.

    Half of the internet or more is a default route in disguise (VPNs set 0.0.0.0/1 and 128.0.0.0/1);
    a /30 goes before it.
    """
    routes = [ipaddress.ip_network(route, strict=False) for route in taken]
    routes = [route for route in routes if route.version == 4 and route.prefixlen >= 8]
    for candidate in POOL.subnets(new_prefix=30):
        if not any(candidate.overlaps(route) for route in routes):
            return str(candidate)
    raise LabError(f"no free network is left in {POOL}: stop the private engines in use")


def parse_routes(routes: str, links: str) -> tuple[list[str], int]:
    """Networks in use and the MTU towards the default route, from ``ip -j route`` and ``ip -j link``."""
    table = json.loads(routes or "[]")
    taken = [row["dst"] for row in table if row.get("dst") != "default"]
    default = next((row.get("dev") for row in table if row.get("dst") == "default"), None)
    sizes = {row["ifname"]: int(row["mtu"]) for row in json.loads(links or "[]")}
    return taken, sizes.get(str(default), 1500)


def plan(tools: Tools, name: str) -> Link:
    """A link called ``name`` on a network that is free on this host."""
    taken, mtu = _routes(tools)
    return Link(name, free_network(taken), mtu)


def is_up(tools: Tools, link: Link) -> bool:
    """Whether the link's veth pair stands, so that no other engine takes its network for free."""
    return link.network in _routes(tools)[0]


def _routes(tools: Tools) -> tuple[list[str], int]:
    ip = [_program(tools, "ip"), "-j"]
    routes = run([*ip, "-4", "route"], doing="reading this machine's routes")
    links = run([*ip, "link"], doing="reading this machine's network links")
    return parse_routes(routes, links)


def open_link(tools: Tools, link: Link) -> None:
    """Let the engine's packets through the host; the veth pair is made by the engine's start."""
    close_link(tools, link)
    if FORWARDING.read_text().strip() == "0":
        run(
            as_root(["sh", "-c", f"echo 1 > {FORWARDING}"]),
            doing="letting this machine forward the engine's packets",
        )
    for table, chain, *rule in link.rules():
        _iptables(tools, "-t", table, "-I", chain, *rule)


def close_link(tools: Tools, link: Link) -> None:
    """Remove every rule of this link from the host, however many a killed engine left."""
    for table, chain, *rule in link.rules():
        while _has(tools, table, chain, rule):
            _iptables(tools, "-t", table, "-D", chain, *rule)


def _has(tools: Tools, table: str, chain: str, rule: Sequence[str]) -> bool:
    words = as_root([_program(tools, "iptables"), "-w", "-t", table, "-C", chain, *rule])
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _iptables(tools: Tools, *words: str) -> None:
    run(
        as_root([_program(tools, "iptables"), "-w", *words]),
        doing="opening this machine's packet filter to the private engine",
    )


def _program(tools: Tools, name: str) -> Path | str:
    own = tools.programs / name
    return own if own.exists() else name
