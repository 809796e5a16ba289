"""The host's package sources, as apt prints them; and what apt refuses to fetch for us."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from layerlab.engine import packages
from layerlab.engine.packages import Apt, Archive, Distribution, parse_archives, unpack
from layerlab.errors import LabError

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


# --- signatures: an archive of our own, whose key is made here -----------------------------------


def gpg(home: Path, *words: str | Path, stdin: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback"]
    done = subprocess.run([*command, *words], input=stdin, capture_output=True, check=True)
    return done.stdout


@dataclass
class Mirror:
    """A package archive in a folder, signed by a key of its own."""

    folder: Path
    home: Path
    key: str = "archive"

    @property
    def archive(self) -> Archive:
        return Archive(f"copy:{self.folder}/", ("bookworm",))

    @property
    def keyring(self) -> Path:
        return self.home / "archive.gpg"

    @property
    def deb(self) -> Path:
        return self.folder / "pool/tool_1_all.deb"

    @property
    def index(self) -> Path:
        return self.folder / "dists/bookworm/main/binary-all/Packages"

    @property
    def release(self) -> Path:
        return self.folder / "dists/bookworm/InRelease"

    def make(self) -> None:
        for key in ("archive", "other"):
            words = ["--passphrase", "", "--quick-generate-key", f"{key}@test", "ed25519"]
            gpg(self.home, *words)
        self.keyring.write_bytes(gpg(self.home, "--export", "archive@test"))
        tree = self.home / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(
            "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n"
        )
        (tree / "usr/bin").mkdir(parents=True)
        (tree / "usr/bin/tool").write_text("honest\n")
        self.deb.parent.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "-b", tree, self.deb], capture_output=True, check=True)
        self.write_index()
        self.sign()

    def write_index(self) -> None:
        data = self.deb.read_bytes()
        self.index.parent.mkdir(parents=True, exist_ok=True)
        self.index.write_text(
            "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n"
            f"Filename: pool/{self.deb.name}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        )

    def text(self) -> bytes:
        data = self.index.read_bytes()
        now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
        return (
            f"Origin: Debian\nSuite: bookworm\nCodename: bookworm\nDate: {now}\n"
            "Architectures: all amd64 arm64\nComponents: main\nSHA256:\n"
            f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-all/Packages\n"
        ).encode()

    def sign(self, key: str = "archive") -> None:
        words = ["--digest-algo", "SHA512", "--local-user", f"{key}@test", "--clearsign"]
        self.release.write_bytes(gpg(self.home, *words, stdin=self.text()))


def swap_package(mirror: Mirror) -> None:
    data = bytearray(mirror.deb.read_bytes())
    data[-1] ^= 1
    mirror.deb.write_bytes(bytes(data))


def swap_index(mirror: Mirror) -> None:
    swap_package(mirror)
    mirror.write_index()


def sign_by_another(mirror: Mirror) -> None:
    swap_index(mirror)
    mirror.sign("other")


def change_signed(mirror: Mirror) -> None:
    swap_index(mirror)
    old = mirror.release.read_bytes()
    lines = mirror.text().splitlines()
    signature = old[old.index(b"-----BEGIN PGP SIGNATURE") :]
    head = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
    mirror.release.write_bytes(head + b"\n".join(lines) + b"\n" + signature)


def leave_unsigned(mirror: Mirror) -> None:
    swap_index(mirror)
    mirror.release.unlink()
    mirror.release.with_name("Release").write_bytes(mirror.text())


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    # gpg's sockets have no room in pytest's folders, and apt drops root's rights only where it may.
    with tempfile.TemporaryDirectory(prefix="layerlab-") as name:
        folder, home = Path(name) / "mirror", Path(name) / "home"
        home.mkdir(mode=0o700)
        made = Mirror(folder, home)
        made.make()
        monkeypatch.setattr(packages, "KEYRINGS", {"debian": (str(made.keyring),)})
        yield made
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


needs_apt = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "dpkg-deb", "gpg"))), reason="needs apt, dpkg and gpg"
)


def fetched(mirror: Mirror, folder: Path) -> list[Path]:
    apt = Apt(folder, BOOKWORM, [mirror.archive])
    apt.update()
    return apt.download(["tool"])


@needs_apt
def test_a_package_that_the_archive_vouches_for_is_unpacked(mirror: Mirror, tmp_path: Path) -> None:
    unpack(fetched(mirror, tmp_path / "apt"), tmp_path / "root")
    assert (tmp_path / "root/usr/bin/tool").read_text() == "honest\n"


@needs_apt
@pytest.mark.parametrize("careless", [False, True])
@pytest.mark.parametrize(
    "tamper", [swap_package, swap_index, change_signed, sign_by_another, leave_unsigned]
)
def test_what_the_archive_does_not_vouch_for_is_refused(
    mirror: Mirror,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tamper: Callable[[Mirror], None],
    careless: bool,
) -> None:
    """Also where the host's own apt is told to take anything."""
    if careless:
        (tmp_path / "apt.conf").write_text(
            'APT::Get::AllowUnauthenticated "true";\nAcquire::AllowInsecureRepositories "true";\n'
            'Acquire::AllowWeakRepositories "true";\n'
            'Acquire::AllowDowngradeToInsecureRepositories "true";\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    tamper(mirror)
    with pytest.raises(LabError, match="failed with exit code 100"):
        fetched(mirror, tmp_path / "apt")
    assert list((tmp_path / "apt").rglob("*.deb")) == []


@needs_apt
def test_a_package_that_was_left_half_fetched_or_swapped_is_not_taken(
    mirror: Mirror, tmp_path: Path
) -> None:
    for data in (mirror.deb.read_bytes()[:100], bytes(mirror.deb.stat().st_size)):
        for left in fetched(mirror, tmp_path / "apt"):
            left.write_bytes(data)
        unpack(fetched(mirror, tmp_path / "apt"), tmp_path / "root")
        assert (tmp_path / "root/usr/bin/tool").read_text() == "honest\n"
