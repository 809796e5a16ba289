"""The private engine's link: a network that is free on this host."""

import ipaddress

import pytest

from layerlab.engine.namespace import POOL, Link, free_network, parse_routes
from layerlab.errors import LabError

# `ip -j -4 route` and `ip -j link` (shortened to what is read) of a machine with two private engines.
ROUTES = (
    '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},'
    '{"dst":"10.213.7.0/30","dev":"llv0","protocol":"kernel","scope":"link","prefsrc":"10.213.7.1","flags":[]},'
    '{"dst":"192.0.2.0/24","dev":"eth0","protocol":"kernel","scope":"link","prefsrc":"192.0.2.2","flags":[]},'
    '{"dst":"198.18.0.0/30","dev":"lab31643","protocol":"kernel","scope":"link","prefsrc":"198.18.0.1","flags":[]}]'
)
LINKS = (
    '[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue"},'
    '{"ifindex":4,"ifname":"eth0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1400},'
    '{"ifindex":13,"link_index":2,"ifname":"lab31643","flags":["UP"],"mtu":1400,"link_netnsid":1}]'
)


def test_routes_and_mtu_of_a_real_machine() -> None:
    assert parse_routes(ROUTES, LINKS) == (["10.213.7.0/30", "192.0.2.0/24", "198.18.0.0/30"], 1400)


@pytest.mark.parametrize(("routes", "links"), [("", ""), ("[]", "[]"), ("[ ]", LINKS)])
def test_a_machine_without_routes(routes: str, links: str) -> None:
    assert parse_routes(routes, links) == ([], 1500)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "198.18.0.0/30"),
        (["198.18.0.0/30"], "198.18.0.4/30"),
        (["198.18.0.5"], "198.18.0.0/30"),
        (["198.18.0.1", "198.18.0.6/32"], "198.18.0.8/30"),
        (["198.18.0.0/24", "10.0.0.0/8", "fd00::/8"], "198.18.1.0/30"),
        # A VPN's way to take all traffic without a default route.
        (["0.0.0.0/1", "128.0.0.0/1"], "198.18.0.0/30"),
    ],
)
def test_the_first_free_network(taken: list[str], expected: str) -> None:
    assert free_network(taken) == expected


def test_no_network_is_left() -> None:
    with pytest.raises(LabError, match="no free network is left"):
        free_network([str(POOL)])


def test_engines_beside_each_other_get_networks_of_their_own() -> None:
    taken: list[str] = []
    for _ in range(5):
        taken.append(free_network(taken))
    networks = [ipaddress.ip_network(network) for network in taken]
    assert not any(a.overlaps(b) for a in networks for b in networks if a is not b)


def test_a_link_has_two_ends_and_every_rule_bears_its_name() -> None:
    link = Link("lab1", "198.18.0.4/30", 1400)
    assert (link.gateway, link.address) == ("198.18.0.5", "198.18.0.6")
    assert all("lab1" in rule[rule.index("--comment") + 1] for rule in link.rules())
