"""Why a container does not serve, told from what engines and kernels say; no engine is asked."""

import pytest

from layerlab.run import diagnosis, ports, usage
from layerlab.run.diagnosis import Listener, ending, listening, refused, silence
from layerlab.run.usage import Usage

# A container of Engine 28.5.2 on a user's network, with Docker's resolver in it.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0B00007F:91DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1184139 1 000000009e11b633 100 0 0 10 0
   1: 0100007F:1F40 00000000:0000 0A 00000000:00000001 00:00000000 00000000     0        0 1184150 2 00000000bd4e7f25 100 0 0 10 0
   2: 0100007F:1F40 0100007F:C2F4 01 00000000:00000000 00:00000000 00000000     0        0 0 1 00000000bfafcee0 20 0 0 10 -1
   3: 0100007F:C2F4 0100007F:1F40 01 00000000:00000000 00:00000000 00000000     0        0 1184154 1 000000003d3d712f 20 0 0 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:2329 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1184152 1 00000000163e0c9d 100 0 0 10 0
   1: 00000000000000000000000000000000:2328 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1184151 1 00000000f00fecf4 100 0 0 10 0
"""


def test_what_listens() -> None:
    assert listening(TCP) == [Listener("127.0.0.1", 8000)]
    assert listening(TCP6) == [Listener("::1", 9001), Listener("::", 9000)]
    assert [one.local for one in listening(TCP6)] == [True, False]


@pytest.mark.parametrize(
    ("heard", "sentence"),
    [
        (None, "see to it that it listens on 0.0.0.0:8000"),
        ([], "it listens on no port: it is not up yet"),
        ([Listener("0.0.0.0", 8000)], "it listens on port 8000, and does not answer"),
        ([Listener("::1", 8000), Listener("::", 8000)], "it listens on port 8000, and does not"),
        ([Listener("127.0.0.1", 8000)], "it listens on 127.0.0.1:8000 only"),
        ([Listener("::1", 8000)], "it listens on ::1:8000 only"),
        ([Listener("::", 80)], "it listens on :::80 and not on port 8000: change the port in CMD"),
    ],
)
def test_silence(heard: list[Listener] | None, sentence: str) -> None:
    assert silence(heard, 8000).startswith(sentence)


def test_silence_by_what_it_does() -> None:
    assert silence(None, 8000, Usage(1, 100, 100)).startswith("it has 100 processes and threads")
    assert "100 processes" not in silence(None, 8000, Usage(1, 99, 100))
    assert "processes" not in silence(None, 8000, Usage(1, 99, 0))
    assert silence([], 8000, None, "it floods its log").startswith("it floods its log")


@pytest.mark.parametrize(
    ("code", "memory", "said", "sentence"),
    [
        (3, False, "", "the app ended before it answered (exit code 3)"),
        (127, False, "", "the app ended before it answered (exit code 127: its command was not"),
        (137, True, "", "the app was killed by its memory limit of 256 MiB before it answered"),
        # dash, CPython (threads) and CPython (processes)
        (
            2,
            False,
            "\n    sh: 1: Cannot fork",
            "the app ended before it answered (exit code 2): it may",
        ),
        (
            1,
            False,
            "RuntimeError: can't start new thread",
            "100 processes and threads, and tried to",
        ),
        (
            1,
            False,
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            "tried to start",
        ),
        (0, False, "sh: 1: Cannot fork", "the app ended before it answered (exit code 0)"),
    ],
)
def test_ending(code: int, memory: bool, said: str, sentence: str) -> None:
    told = ending(
        code,
        when="before it answered",
        out_of_memory=memory,
        memory_bytes=256 << 20,
        processes=100,
        said=said,
    )
    assert sentence in told
    assert ("tried to start more" in told) == ("it may have" in told)


# What the clients of 28.5.2 and 20.10.24 print
@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("docker: Error response from daemon: no command specified", "the image has no CMD"),
        ("docker: Error response from daemon: No command specified.", "the image has no CMD"),
        (
            'unable to start container process: exec: "gunicorn": executable file not found in $PATH',
            "its command `gunicorn` can't be run",
        ),
        (
            'exec: "\x1b[2J": executable file not found in $PATH',
            "its command `\\x1b[2J` can't be run",
        ),
    ],
)
def test_refused(said: str, sentence: str) -> None:
    assert str(refused(said)).startswith(sentence)
    assert refused("port is already allocated") is None


def test_usage_is_what_docker_stats_shows() -> None:
    """Engine 28.5.2 on cgroup v1: `docker stats` showed 50.92MiB / 256MiB at that time."""
    first = {
        "pids_stats": {"current": 1, "limit": 100},
        "memory_stats": {
            "usage": 57856000,
            "limit": 268435456,
            "stats": {"inactive_file": 4403200, "total_inactive_file": 4403200, "rss": 38141952},
        },
    }
    assert usage.read(first) == Usage(53452800, 1, 100)
    second = {"memory_stats": {"usage": 900, "stats": {"inactive_file": 100, "anon": 700}}}
    assert usage.read(second) == Usage(800, 0, 0)
    unlimited = {"pids_stats": {"current": 3, "limit": 18446744073709551615}}
    assert usage.read({**second, **unlimited}) == Usage(800, 3, 0)
    assert usage.read({"memory_stats": {}, "pids_stats": {}}) is None
    assert diagnosis.crowd(Usage(1, 3, 0)) is None


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:49153"),
        ("10.0.0.7", "http://10.0.0.7:49153"),
        ("build.example.org", "http://build.example.org:49153"),
        ("fd00::7", "http://[fd00::7]:49153"),
    ],
)
def test_where_an_app_answers(address: str, url: str) -> None:
    """The address itself is tests/test_endpoint.py's."""
    assert ports.url(address, 49153) == url
