"""The host's package sources, as apt prints them."""

from pathlib import Path

import pytest

from layerlab.engine.packages import Apt, Archive, Distribution, parse_archives

BOOKWORM = Distribution("debian", "bookworm")
JAMMY = Distribution("ubuntu", "jammy")

# apt 2.6.1, lists fetched (Debian 12 in deb822 style)
FETCHED = """\
http://deb.debian.org/debian/|bookworm|main|Debian
http://deb.debian.org/debian/|bookworm-updates|main|Debian
http://deb.debian.org/debian-security/|bookworm-security|main|Debian
"""
# The same machine without lists (ReleaseInfo=false): each target twice, for amd64 and all; no origin
FRESH = """\
http://deb.debian.org/debian/|bookworm|main|$(ORIGIN)
http://deb.debian.org/debian/|bookworm|main|$(ORIGIN)
http://deb.debian.org/debian/|bookworm-updates|main|$(ORIGIN)
http://deb.debian.org/debian/|bookworm-updates|main|$(ORIGIN)
http://deb.debian.org/debian-security/|bookworm-security|main|$(ORIGIN)
http://deb.debian.org/debian-security/|bookworm-security|main|$(ORIGIN)
"""
# apt 2.6.1 on one-line-style sources of Debian and others
THIRD_PARTIES = """\
https://apt.postgresql.org/pub/repos/apt/|bookworm-pgdg|main|$(ORIGIN)
https://download.docker.com/linux/debian/|bookworm|stable|$(ORIGIN)
https://deb.nodesource.com/node_20.x/|nodistro|main|$(ORIGIN)
file:/srv/flat/|./|$(COMPONENT)|$(ORIGIN)
"""
MICROSOFT = "https://packages.microsoft.com/debian/12/prod/|bookworm|main|microsoft-debian-bookworm-prod bookworm\n"
# one-line style with a PPA
UBUNTU = """\
https://ppa.launchpadcontent.net/deadsnakes/ppa/ubuntu/|jammy|main|$(ORIGIN)
http://archive.ubuntu.com/ubuntu/|jammy|main|$(ORIGIN)
http://archive.ubuntu.com/ubuntu/|jammy|restricted|$(ORIGIN)
http://archive.ubuntu.com/ubuntu/|jammy|universe|$(ORIGIN)
http://archive.ubuntu.com/ubuntu/|jammy-updates|main|$(ORIGIN)
http://archive.ubuntu.com/ubuntu/|jammy-updates|universe|$(ORIGIN)
http://security.ubuntu.com/ubuntu/|jammy-security|main|$(ORIGIN)
http://security.ubuntu.com/ubuntu/|jammy-security|universe|$(ORIGIN)
http://archive.ubuntu.com/ubuntu/|jammy-backports|main|$(ORIGIN)
http://archive.ubuntu.com/ubuntu/|jammy-backports|universe|$(ORIGIN)
"""
DEBIANS = [
    Archive("http://deb.debian.org/debian/", ("bookworm", "bookworm-updates")),
    Archive("http://deb.debian.org/debian-security/", ("bookworm-security",)),
]
UBUNTUS = [
    Archive("http://archive.ubuntu.com/ubuntu/", ("jammy", "jammy-updates")),
    Archive("http://security.ubuntu.com/ubuntu/", ("jammy-security",)),
]


@pytest.mark.parametrize(
    ("printed", "distribution", "archives"),
    [
        (FETCHED, BOOKWORM, DEBIANS),
        (FRESH, BOOKWORM, DEBIANS),
        (THIRD_PARTIES + FRESH, BOOKWORM, DEBIANS),
        (MICROSOFT + FETCHED, BOOKWORM, DEBIANS),
        (UBUNTU, JAMMY, UBUNTUS),
        (UBUNTU.replace("$(ORIGIN)", "Ubuntu"), JAMMY, UBUNTUS),
        (FETCHED, Distribution("debian", "trixie"), []),
        ("", BOOKWORM, []),
        ("nonsense\n||\n|||\n", BOOKWORM, []),
    ],
)
def test_only_the_releases_own_archives_are_used(
    printed: str, distribution: Distribution, archives: list[Archive]
) -> None:
    assert parse_archives(printed, distribution) == archives


def test_our_apt_reads_nothing_but_these_archives(tmp_path: Path) -> None:
    text = Apt(tmp_path, JAMMY, UBUNTUS).sources.read_text()
    stanzas = [dict(line.split(": ", 1) for line in s.splitlines()) for s in text.split("\n\n")]
    assert [s["URIs"] for s in stanzas] == [archive.uri for archive in UBUNTUS]
    assert [s["Suites"] for s in stanzas] == ["jammy jammy-updates", "jammy-security"]
    assert {s["Components"] for s in stanzas} == {"main universe"}
