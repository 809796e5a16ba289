"""The stack lab without an engine: what compose says, a start's critical path, the promised network."""

import json
from pathlib import Path
from typing import Any

import pytest
from wcwidth import wcswidth

from layerlab.errors import LabError
from layerlab.run import composefile, reach, refusal, startup, traffic, volumes, watcher
from layerlab.run.absence import ASKS, READY, WRITE, Away, Gap, Rebuilt
from layerlab.run.events import Event
from layerlab.run.fate import Fate
from layerlab.run.override import override
from layerlab.run.reach import HOST, OUTSIDE, PORTS, Reach
from layerlab.run.stack import waited_for
from layerlab.run.start import NOTES, Start
from layerlab.run.startup import Life
from layerlab.run.traffic import Answer, Ask
from layerlab.run.volumes import KINDS, QUESTIONS, Kinds, Volume
from layerlab.show import stack as tables
from layerlab.show import timeline
from layerlab.show.section import Section
from layerlab.show.timeline import Bar

#: Said by Docker Compose 2.40.3 on Docker Engine 28.5.2, and by older engines where it says so.
SAID = {
    "Error response from daemon: failed to set up container networking: driver failed programming "
    "external connectivity on endpoint tst-web-1 (70beb9c1bb41): Bind for 127.0.0.1:8099 failed: port is "
    "already allocated": "web: the port 127.0.0.1:8099 is taken",
    "Error response from daemon: failed to set up container networking: driver failed programming "
    "external connectivity on endpoint tst-web-1 (7bb8fbfa): failed to start userland proxy for port "
    "mapping 127.0.0.1:8098:172.18.0.2:80/tcp: error starting userland proxy: failed to listen on "
    "127.0.0.1:8098: listen tcp4 127.0.0.1:8098: bind: address already in use": "web: the port "
    "127.0.0.1:8098 is taken",
    # moby 28.1 and newer, portallocator
    "driver failed programming external connectivity on endpoint tst-web-1 (7b): failed to bind host "
    "port 127.0.0.1:8097/tcp: address already in use": "web: the port 127.0.0.1:8097 is taken",
    " Container tst-b-1  Error\ndependency failed to start: container tst-b-1 is unhealthy": "b never "
    "became healthy",
    " Container tst-b-1  Error\ndependency failed to start: container tst-b-1 exited (3)": "b ended with "
    "exit code 3",
    "failed to create network tst_default: Error response from daemon: all predefined address pools have "
    "been fully subnetted": "the network default can't be made: the engine has given away all",
    # moby 20.10 to 26
    "failed to create network tst_default: Error response from daemon: could not find an available, "
    "non-overlapping IPv4 address pool among the defaults to assign to the network": "the network default "
    "can't be made: the engine has given away all",
    "Error response from daemon: failed to set up container networking: no available IPv4 addresses on "
    "this network's address pools: tst_default (85d0e9e1)": "the network default has no address left",
    "failed to create network tst_default: Error response from daemon: invalid pool request: Pool overlaps "
    "with other one on this address space": "the network default overlaps with one",
    'time="2026-11-25T17:24:52Z" level=warning msg="secret file tst_s does not exist"\nError response from '
    'daemon: invalid mount config for type "bind": bind source path does not exist: /tmp/st/none.txt': (
        "/tmp/st/none.txt is to be mounted, and does not exist"
    ),
    "Error response from daemon: No such image: nosuch:1": "the image nosuch:1 is not on the engine",
    'service "web" has neither an image nor a build context specified: invalid compose project': "the "
    "service web has neither an image nor a build context",
    " Network x  Creating\n Network x  Created\nsomething that nobody foresaw \x1b[2J\n": "docker compose "
    "failed: something that nobody foresaw \\x1b[2J",
    "": "docker compose failed: it says nothing",
}


@pytest.mark.parametrize(("said", "begin"), SAID.items(), ids=range(len(SAID)))
def test_what_compose_says_in_one_sentence(said: str, begin: str) -> None:
    told = refusal.told(said, [], "tst")
    assert told.sentence.startswith(begin)
    assert "\n" not in told.sentence


COMPOSE = """\
x-common: &common
  restart: "no"
services:
  web:
    <<: *common
    ports:
      - "80:80"
    depends_on: !reset
      cache: {condition: service_healthy}
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("services", 3),
        ("services.web", 4),
        ("services.web.ports", 6),
        ("services.web.ports.0", 7),
        ("services.web.depends_on.cache.condition", 9),
        ("services.web.nothing", None),
    ],
)
def test_where_a_key_stands(tmp_path: Path, keys: str, line: int | None) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    assert composefile.line_of(file, keys.split(".")) == line
    assert composefile.broken(file) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [("a:\n  b: 1\n c: 2\n", 3), ("a:\n\tb: 1\n", 2), ("a: [1,\n2\n", 3), ("a: \x01\n", 1)],
)
def test_where_a_file_is_no_yaml(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(text)
    found = composefile.broken(file)
    assert found is not None
    assert found[0] == line


def test_the_last_file_that_has_a_key_is_named(tmp_path: Path) -> None:
    one, other = tmp_path / "compose.yaml", tmp_path / "more.yaml"
    one.write_text(COMPOSE)
    other.write_text("services:\n  web:\n    init: true\n")
    said = "validating /somewhere/more.yaml: services.web.init must be a boolean"
    assert refusal.told(said, [one, other], "x").sentence.startswith("more.yaml:3: ")
    assert composefile.nearest([one, other], ("services", "web", "ports")) == "compose.yaml:6"


# As a run of 25 November measured it.
HEALTHY = {
    "database": Life("database", 0.21, 0.39, 1.72, 1.77),
    "cache": Life("cache", 0.21, 0.36, 0.39, 0.70),
    "web": Life("web", 0.22, 2.08, 2.55, 2.69),
}
STARTED = {
    "database": Life("database", 0.73, 1.03, 4.52, 4.75),
    "cache": Life("cache", 0.73, 1.02, 1.08, 1.43),
    "web": Life("web", 0.76, 1.40, 2.88, 3.23),
}


def test_the_critical_path_of_a_gated_start() -> None:
    path = startup.critical_path(HEALTHY, 2.56, True)
    found = [(one.service, round(one.seconds, 2)) for one in path]
    compose = startup.COMPOSE
    assert found == [
        (compose, 0.39),
        ("database", 1.33),
        ("database", 0.05),
        (compose, 0.31),
        ("web", 0.48),
    ]
    assert sum(one.seconds for one in path) == pytest.approx(2.56)


def test_the_critical_path_of_one_that_waits_for_nobody() -> None:
    path = startup.critical_path(STARTED, 4.59, False)
    assert [one.service for one in path] == [startup.COMPOSE, "database", "web"]
    assert sum(one.seconds for one in path) == pytest.approx(4.59)
    quick = {**STARTED, "database": Life("database", 0.7, 1.0, 1.3, 1.4)}
    path = startup.critical_path(quick, 2.9, False)
    assert [one.service for one in path] == [startup.COMPOSE, "web"]
    assert sum(one.seconds for one in path) == pytest.approx(2.9)


def test_a_life_from_events() -> None:
    events = [
        Event(at, action, "p-web-1", {})
        for at, action in ((100.5, "create"), (101.0, "start"), (101.2, "exec_create: python"))
    ]
    assert startup.life("web", events, 102.0, 100.0) == Life("web", 0.5, 1.0, 2.0, None)


CONFIG: dict[str, Any] = {
    "services": {
        "web": {"networks": {"default": None, "to_cache": None, "to_database": None}},
        "database": {"networks": {"to_database": None}},
        "cache": {"networks": {"to_cache": None}},
    },
    "networks": {
        "default": {"name": "layerlab_default"},
        "to_cache": {
            "internal": True,
            "driver_opts": {"com.docker.network.bridge.gateway_mode_ipv4": "isolated"},
        },
        "to_database": {"internal": True},
    },
}


def test_what_the_file_promises() -> None:
    wanted = reach.promised(CONFIG)
    answers = {pair for pair, one in wanted.items() if one.answers}
    assert answers == {
        *((one, one) for one in PORTS),
        ("web", "database"),
        ("database", "web"),
        ("web", "cache"),
        ("cache", "web"),
        ("web", OUTSIDE),
        (HOST, "web"),
        # An internal network that is not isolated: the engine's machine has an address there.
        (HOST, "database"),
    }


def test_an_internal_network_of_an_old_engine_leaks() -> None:
    """As measured on 20.10.24: all services reach the engine's machine."""
    wanted = reach.promised(CONFIG, leaky=True)
    assert [one for one in PORTS if wanted[one, OUTSIDE].answers] == list(PORTS)
    assert {pair: one for pair, one in wanted.items() if pair[1] != OUTSIDE} == {
        pair: one for pair, one in reach.promised(CONFIG).items() if pair[1] != OUTSIDE
    }
    section = tables.reach_section(CONFIG, wanted, ["web"], "simple", leaky=True)
    assert not any(note.startswith("!") for note in section.notes)
    assert any("before 23" in note for note in section.notes)


def test_a_broken_promise_is_told() -> None:
    found = {**reach.promised(CONFIG), ("cache", "database"): Reach(True, True)}
    assert reach.differences(CONFIG, found) == [
        "cache reaches database, and the file promises otherwise"
    ]
    section = tables.reach_section(CONFIG, found, ["web"], "simple")
    assert "yes !" in section.table
    assert any(note.startswith("! cache reaches database") for note in section.notes)


def answer(at: float, status: int | None, ask: Ask = READY, seconds: float = 0.01) -> Answer:
    return Answer(ask, at, seconds, status)


def test_an_outage() -> None:
    one = [
        answer(0.0, 200),
        answer(0.1, None),
        answer(0.2, 503),
        answer(1.0, 200),
        answer(9.0, 200),
    ]
    assert traffic.outage(one, lambda a: a.good) == pytest.approx(1.01)
    assert traffic.outage([answer(0, 200), answer(5, 200)], lambda a: a.good) == 0
    assert traffic.outage([answer(0, None), answer(5, 200)], lambda a: a.good) == 0


def test_the_override_comes_to_everything() -> None:
    config = {
        "services": {"web": {"build": {"context": "."}}, "database": {"image": "postgres:15"}},
        "networks": {"default": {}, "back": {"internal": True}},
        "volumes": {"data": {}},
    }
    text = override(
        config,
        {"a": "b"},
        images={"postgres:15": "standin/postgres:15"},
        build_contexts=[("python:3.11", "docker-image://standin/python")],
        more={"watcher": watcher.service("slim")},
    )
    document = json.loads(text)
    for kind, names in (
        ("services", {"web", "database", "watcher"}),
        ("networks", {"default", "back"}),
        ("volumes", {"data"}),
    ):
        assert set(document[kind]) == names
        assert all(one["labels"] == {"a": "b"} for one in document[kind].values())
    assert document["services"]["database"]["image"] == "standin/postgres:15"
    assert document["services"]["web"]["build"]["labels"] == {"a": "b"}
    assert "image" not in document["services"]["web"]


def test_an_old_engine_gets_no_start_interval() -> None:
    healthcheck = {"test": ["CMD", "true"], "start_interval": "250ms"}
    config = {"services": {"web": {"image": "a", "healthcheck": healthcheck}}}
    assert '"start_interval": !reset null' in override(config, {}, images={}, start_interval=False)
    assert "start_interval" not in override(config, {}, images={})


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("f" * 64, "", True),
        ("data", "com.docker.volume.anonymous=", True),
        ("layerlab_data", "com.docker.compose.volume=data", False),
        ("f" * 63, "", False),
    ],
)
def test_an_anonymous_volume(name: str, labels: str, expected: bool) -> None:
    assert volumes.anonymous(name, labels) is expected


def slow(one: Life) -> Life:
    moments = (one.created, one.started, one.answered, one.healthy)
    return Life(one.service, *(100 * at if at is not None else None for at in moments))


def everything() -> list[Section]:
    asked = [answer(0, 503, NOTES)] * 38 + [answer(1, 200, NOTES)] * 1234
    starts = {
        "service_healthy": Start(True, HEALTHY, 2.1, 2.56, asked[-15:]),
        # Slow machines take minutes.
        "service_started": Start(
            False, {n: slow(one) for n, one in STARTED.items()}, 1.2, 459, asked
        ),
    }
    answers = [
        answer(n / 10, status, ask) for ask in ASKS for n, status in enumerate([200, 503, None])
    ]
    away = {name: Away(name, answers, 0.7, 1.15, 43, 43) for name in ("database", "cache")}
    facts = {(question, kind): True for question in QUESTIONS for kind in KINDS}
    told: dict[str, float | LabError] = {
        "single-stage": 1.5,
        "학생" * 30: LabError("x" * 60 + "\ny"),
    }
    return [
        *tables.start_sections(starts, "simple"),
        tables.reach_section(CONFIG, reach.promised(CONFIG), ["web"], "simple"),
        tables.away_section(away, "simple"),
        tables.gaps_section(
            Gap(240.4, 100.35, True, False), Rebuilt(2.5, 3.5, ["web"], True), "simple"
        ),
        tables.notes_section([Fate("down -v, then up", False, False, True)], "simple"),
        tables.kinds_section(Kinds(facts, [Volume("f" * 64, "anonymous", "/app")]), "simple"),
        tables.variants_section(told, "simple"),
    ]


def test_every_table_fits_a_terminal() -> None:
    for section in everything():
        assert max(map(wcswidth, section.table.splitlines())) <= 80, section.title
    notes = [note for section in everything() for note in section.notes]
    assert "service_healthy: 0 of 15 requests for the notes met no database (503)." in notes
    assert "service_started: 38 of 1272 requests for the notes met no database (503)." in notes


def test_lost_notes_are_told() -> None:
    away = Away("database", [answer(0, 201, WRITE)], 0.7, 1.15, 43, 41)
    section = tables.away_section({"database": away}, "simple")
    assert any("43 notes were accepted, 2 of them lost" in note for note in section.notes)


def test_the_picture_has_the_same_bytes(tmp_path: Path) -> None:
    bars = [Bar("database", 0.2, 0.4, 1.7, 1.8), Bar("<b>웹$x$", 0.2, 2.0, None, None)]
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    timeline.timeline_svg("a start", bars, one)
    timeline.timeline_svg("a start", bars, other)
    assert one.read_bytes() == other.read_bytes()
    assert one.read_text().startswith("<svg ")
    assert "<b>" not in one.read_text()
    with pytest.raises(ValueError, match="at least one"):
        timeline.timeline_svg("none", [], one)


RUNS = {"Status": "running"}
STARTING = {"Status": "running", "Health": {"Status": "starting"}}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"web": {"Status": "created"}, "database": STARTING}, ("database", "starting")),
        ({"web": {"Status": "created"}, "cache": {"Status": "exited"}}, ("cache", "exited")),
        ({"cache": {"Status": "exited"}, "database": STARTING}, ("database", "starting")),
        ({"web": {"Status": "created"}, "cache": RUNS}, ("web", "created")),
        ({"web": {"Status": "restarting"}, "cache": RUNS}, ("web", "restarting")),
        ({"cache": RUNS}, None),
    ],
)
def test_who_keeps_the_others_waiting(
    states: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    assert waited_for(states) == expected


def test_the_watcher_is_heard() -> None:
    log = '{"watching": true}\n{"service": "cache", "at": 12.5}\n{"service": "database", "at": 14.0}\n'
    assert watcher.heard(log) == {"cache": 12.5, "database": 14.0}
