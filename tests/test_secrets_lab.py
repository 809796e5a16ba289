"""The secrets lab without an engine: its rule, what it finds in answers, its tables, its mask."""

import base64
import json
from itertools import chain, combinations
from types import MappingProxyType

import pytest
from wcwidth import wcswidth

from layerlab.engine.client import Client
from layerlab.engine.endpoint import Endpoint
from layerlab.errors import LabError
from layerlab.image.needles import Needles, read_values
from layerlab.labs import secrets as lab
from layerlab.labs.secrets import Readers
from layerlab.run import readers, swarm
from layerlab.run.readers import CHILD, INSIDE, INSPECTS, PEOPLE, PULLS, WAYS, Found

GIVEN = {way: lab.canary() for way in WAYS}
NEEDLES = Needles(read_values("\n".join(GIVEN.values()).encode()))


def line(kind: str, where: str, data: str, about: str = "") -> str:
    encoded = base64.b64encode(data.encode()).decode()
    return json.dumps({"kind": kind, "where": where, "about": about, "data": encoded})


@pytest.mark.parametrize(
    "people", list(chain.from_iterable(combinations(PEOPLE, n) for n in range(5))), ids=str
)
def test_the_level_is_that_of_who_needs_least(people: tuple[str, ...]) -> None:
    expected = "low" if PULLS in people else "middle" if INSPECTS in people else "high"
    assert readers.level(people) == expected


def test_each_way_has_a_secret_of_its_own_in_every_run() -> None:
    assert len({*GIVEN.values(), *(lab.canary() for _ in WAYS)}) == 2 * len(WAYS)


def test_no_traceback_shows_a_secret() -> None:
    assert repr(GIVEN) == repr(dict.fromkeys(WAYS, lab.Canary("another")))


def test_what_a_process_reads_is_found_in_its_forms_and_by_its_way() -> None:
    of_file, of_variable = GIVEN[readers.COPIED], GIVEN[readers.RUN_ENV]
    coded = base64.b64encode(of_variable.encode()).decode()
    answer = "\n".join(
        [
            line("file", "/srv/.env", f"A={of_file}\n", "mode 0640, uid 0"),
            line("environment", "A", coded),
            line("environment", "B", "nothing"),
            line("file", f"/srv/{of_file}", of_file),
        ]
    )
    assert list(readers.in_survey(NEEDLES, WAYS, CHILD, answer)) == [
        Found(readers.COPIED, CHILD, "file", "/srv/.env (mode 0640, uid 0)"),
        Found(readers.RUN_ENV, CHILD, "environment", "A as base64"),
        Found(readers.COPIED, CHILD, "file", "/srv/•••"),
    ]
    assert list(readers.in_survey(NEEDLES, [readers.IMAGE_ENV], CHILD, answer)) == []


def test_a_damaged_answer_is_an_error_that_quotes_nothing() -> None:
    damaged = line("file", "/srv/.env", GIVEN[readers.COPIED])[:-4]
    with pytest.raises(LabError) as caught:
        list(readers.in_survey(NEEDLES, WAYS, CHILD, damaged))
    assert str(caught.value) == "a container's answer is cut off or damaged"
    assert caught.value.__suppress_context__


def test_what_the_engine_says_is_found_by_its_key_or_as_text() -> None:
    value = GIVEN[readers.RUN_ENV]
    inspected = json.dumps([{"Config": {"Env": ["A=1", f"B={value}"]}}])
    assert list(readers.in_output(NEEDLES, WAYS, "docker inspect", inspected)) == [
        Found(readers.RUN_ENV, INSPECTS, "docker inspect", "Config.Env[1] (B)")
    ]
    assert list(readers.in_output(NEEDLES, WAYS, "docker logs", f"serving {value}\n")) == [
        Found(readers.RUN_ENV, INSPECTS, "docker logs", "")
    ]
    assert list(readers.in_output(NEEDLES, WAYS, "docker logs", "serving\n")) == []


@pytest.mark.parametrize("style", ["simple", "github"])
def test_tables_fit_80_columns_and_say_who_where_and_what_is_not_available(style: str) -> None:
    found = [Found(way, PULLS, "layer", f"layer 7, {'a/' * 60}.env", True) for way in WAYS]
    found += [Found(readers.COPIED, INSIDE, "file", "/srv/.env (mode 0644, uid 0)")]
    lacking = {readers.SWARM_SECRET: "a swarm is made on the private engine only"}
    people, places = Readers(tuple(found), lacking, NEEDLES).sections(style, 80)
    if style == "simple":
        lines = (people.table + "\n" + places.table).splitlines()
        assert max(map(wcswidth, lines)) <= 80
    rows = {row.split()[0]: row.replace("|", " ").split() for row in people.table.splitlines()}
    if style == "simple":
        assert rows["3"][-6:] == ["yes", "-", "yes", "-", "low", "-"]
        assert rows["10"][-6:] == ["x", "x", "x", "x", "x", "high"]
    assert "x not available: 10 Swarm secret: a swarm is made on the private engine only" in (
        people.notes
    )
    assert "mode 0644" in places.table


def test_nothing_found_is_a_table_too() -> None:
    people, places = Readers((), {}, NEEDLES).sections("simple", 80)
    assert people.table.count("high") == len(WAYS) + 2
    assert places.table.splitlines()[0].split() == ["way", "who", "where"]


def test_an_error_of_docker_is_told_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []

    def fails(measuring: lab._Measuring) -> None:
        value = str(measuring._given[readers.IMAGE_ENV])
        said.append(value)
        raise LabError(
            f"failed: ENV A={value}\n    and {json.dumps(value)} and cut {value[:20]}, {value[-18:]}"
        )

    class Work:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    class Stub:
        problems = MappingProxyType[str, LabError]({})
        name = ""
        endpoint = None
        screen = property(lambda self: self)
        run = property(lambda self: self)
        id = "x"

        def work(self, *_: object) -> Work:
            return Work()

    monkeypatch.setattr(lab._Measuring, "all", fails)
    with pytest.raises(LabError) as caught:
        lab.measure(Stub(), Stub())  # type: ignore[arg-type]
    text = str(caught.value)
    assert text.count("•••") == 4
    assert said[0][:8] not in text
    assert said[0][-8:] not in text
    assert caught.value.__suppress_context__


def test_a_swarm_is_never_made_on_an_engine_that_is_not_ours() -> None:
    theirs = Endpoint("unix:///nowhere", "default socket", Client("no-such-docker"))
    assert swarm.lacking(theirs) == "a swarm is made on the private engine only (--engine private)"
