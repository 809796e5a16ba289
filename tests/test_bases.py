"""Base images, without an engine: names, what a refused pull means, what is said of them."""

import pytest

from layerlab.engine import bases, pulls, standins
from layerlab.engine.bases import Base
from layerlab.engine.debian import debian_archives, sources
from layerlab.engine.packages import Archive, Distribution

OFFICIAL = Base(
    "python:3.11", "python:3.11", False, "sha256:1", "pulled", "sha256:0123456789abcdef0123"
)
STANDIN = Base("redis:7", "layerlab-standin/redis:7", True, "sha256:2", "built", None)
LOCAL = Base("mine:1", "mine:1", False, "sha256:3", "present", None)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("python", "python:latest"),
        ("python:3.11", "python:3.11"),
        ("docker.io/library/python:3.11", "python:3.11"),
        ("index.docker.io/library/redis:7", "redis:7"),
        ("library/redis", "redis:latest"),
        ("docker.io/grafana/k6", "grafana/k6:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("python@sha256:abc", "python@sha256:abc"),
        ("ghcr.io/astral-sh/uv:0.5", "ghcr.io/astral-sh/uv:0.5"),
    ],
)
def test_familiar_names(name: str, short: str) -> None:
    assert pulls.familiar(name) == short


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("python:3.11", "docker.io"),
        ("grafana/k6", "docker.io"),
        ("index.docker.io/library/python", "docker.io"),
        ("ghcr.io/astral-sh/uv:0.5", "ghcr.io"),
        ("localhost/app", "localhost"),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5000"),
    ],
)
def test_registry_of_a_name(name: str, host: str) -> None:
    assert pulls.registry(name) == host


# Recorded: [28.5.2] on this project's engines; the others from issue reports of those versions.
UNAVAILABLE = [
    # 28.5.2, classic store
    (
        'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on '
        "10.255.255.53:53: no such host"
    ),
    'Get "http://localhost:5999/v2/": dial tcp 127.0.0.1:5999: connect: connection refused',
    (
        'Get "https://10.255.255.1:5999/v2/": tls: failed to verify certificate: x509: cannot validate '
        "certificate for 10.255.255.1 because it doesn't contain any IP SANs"
    ),
    # 20.10 and before: without quotes
    (
        "Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io on 10.0.2.3:53: "
        "read udp 10.0.2.15:54567->10.0.2.3:53: i/o timeout"
    ),
    (
        "Get https://registry-1.docker.io/v2/: net/http: request canceled while waiting for connection "
        "(Client.Timeout exceeded while awaiting headers)"
    ),
    (
        "Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io on "
        "192.168.65.1:53: server misbehaving"
    ),
    (
        'Get "https://registry-1.docker.io/v2/": proxyconnect tcp: dial tcp 192.168.65.1:3128: connect: '
        "connection refused"
    ),
    # 26 to 29, containerd store
    (
        'failed to resolve reference "docker.io/fpocket/fpocket:latest": failed to do request: Head '
        '"https://registry-1.docker.io/v2/fpocket/fpocket/manifests/latest": EOF'
    ),
    (
        'failed to resolve reference "docker.io/gvenzl/oracle-free:latest": failed to do request: Head '
        '"https://registry-1.docker.io/v2/gvenzl/oracle-free/manifests/latest": net/http: TLS handshake '
        "timeout"
    ),
    # It speaks of authorisation, but it is the network.
    (
        'failed to resolve reference "docker.io/eceasy/cli-proxy-api-plus:latest": failed to authorize: '
        'failed to fetch anonymous token: Get "https://auth.docker.io/token?scope=repository%3A'
        'eceasy%2Fcli-proxy-api-plus%3Apull&service=registry.docker.io": EOF'
    ),
    (
        'failed to resolve reference "docker.io/godarch/arch:latest": failed to fetch anonymous token: '
        "unexpected status: 503 Service Unavailable"
    ),
    (
        "toomanyrequests: You have reached your unauthenticated pull rate limit. "
        "https://www.docker.com/increase-rate-limit"
    ),
    # A proxy that lets nothing through.
    'Get "https://registry-1.docker.io/v2/": Forbidden',
    "no answer in 60 s",
]
MISSING = [
    "manifest for whitelok/watermark-remover:latest not found: manifest unknown: manifest unknown",
    "manifest unknown",
    (
        "pull access denied for minio, repository does not exist or may require 'docker login': denied: "
        "requested access to the resource is denied"
    ),
    (
        "pull access denied for ghcr.io/o/i, repository does not exist or may require 'docker login': "
        "denied: permission_denied: The token provided does not match expected scopes."
    ),
    'Head "https://ghcr.io/v2/cerbos/cerbos/manifests/0.26.0": denied: denied',
    (
        'failed to resolve reference "docker.io/sdvd/discord-bot:latest": '
        "docker.io/sdvd/discord-bot:latest: not found"
    ),
    (
        'unknown: failed to resolve reference "ghcr.io/leomartindev/voy:latest": unexpected status from '
        "HEAD request to https://ghcr.io/v2/leomartindev/voy/manifests/latest: 403 Forbidden"
    ),
]
FAILED = [
    (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon "
        "running?"
    ),
    "error during connect: Post http://x/v1.51/images/create: EOF",
    "invalid reference format: repository name (library/Python) must be lowercase",
    "no matching manifest for linux/arm64/v8 in the manifest list entries",
    "write /var/lib/docker/tmp/GetImageBlob1: no space left on device",
]


@pytest.mark.parametrize(
    ("said", "kind"),
    [(said, pulls.UNAVAILABLE) for said in UNAVAILABLE]
    + [(said, pulls.MISSING) for said in MISSING]
    + [(said, pulls.FAILED) for said in FAILED],
)
def test_what_a_refused_pull_means(said: str, kind: str) -> None:
    assert pulls.pull_failure(said) == kind


def test_errors_name_the_image_and_the_next_step() -> None:
    missing = bases.sentence("python:3.99", MISSING[0], private=False)
    assert missing.startswith("the base image python:3.99 does not exist")
    assert "docker login" in missing
    offered = bases.sentence("docker.io/library/python:3.11", UNAVAILABLE[0], private=False)
    assert "--standins" in offered
    user = bases.sentence("node:22", UNAVAILABLE[0], private=False)
    assert "--standins: debian:bookworm-slim, python:3.11-slim, python:3.11" in user
    ours = bases.sentence("node:22", UNAVAILABLE[0], private=True)
    assert "python:3.11" in ours
    assert "--standins" not in ours
    assert "no space left" in bases.sentence("node:22", FAILED[-1], private=True)
    for text in (missing, offered, user, ours):
        assert "\n" not in text


def test_only_honest_names_have_a_stand_in() -> None:
    assert standins.recipe_for("python:3.11-slim-bookworm") == standins.RECIPES["python:3.11-slim"]
    for name in ("python:latest", "python:3.11.9", "python:3.12", "python@sha256:a", "postgres:16"):
        assert standins.recipe_for(name) is None


def test_a_recipe_s_digest_follows_its_files_its_parents_and_the_host() -> None:
    slim, full = (standins.RECIPES[name] for name in ("python:3.11-slim", "python:3.11"))
    assert standins.digest(slim, "host") == standins.digest(slim, "host")
    assert standins.digest(slim, "host") != standins.digest(slim, "another")
    assert standins.digest(slim, "host") != standins.digest(full, "host")
    assert standins.digest(full, "host") != standins.digest(full, "another")


def test_every_recipe_s_folder_is_there() -> None:
    for recipe in standins.RECIPES.values():
        files = {file.name for file in (standins.RECIPES_FOLDER / recipe.folder).iterdir()}
        assert ("Dockerfile" if recipe.parent else "bootstrap.sh") in files


def test_bookworm_s_archives_on_a_newer_host() -> None:
    host = [
        Archive("http://mirror/debian/", ("trixie", "trixie-updates")),
        Archive("http://mirror/debian-security/", ("trixie-security",)),
    ]
    found = debian_archives(Distribution("debian", "trixie"), host)
    assert [archive.suites for archive in found] == [
        ("bookworm", "bookworm-updates"),
        ("bookworm-security",),
    ]
    assert sources(found[:1], "/k.gpg") == (
        "Types: deb\nURIs: http://mirror/debian/\nSuites: bookworm bookworm-updates\n"
        "Components: main\nSigned-By: /k.gpg\n"
    )


def test_the_digest_of_the_right_repository() -> None:
    image = {"RepoDigests": ["mirror.local/python@sha256:a", "python@sha256:b"]}
    assert bases.repo_digest("docker.io/library/python:3.11", image) == "sha256:b"
    assert bases.repo_digest("mirror.local/python:3.11", image) == "sha256:a"
    assert bases.repo_digest("python@sha256:b", image) == "sha256:b"
    assert bases.repo_digest("redis:7", image) is None
    assert bases.repo_digest("redis:7", {"RepoDigests": None}) is None


def test_one_line_says_what_was_official() -> None:
    assert bases.described([OFFICIAL, STANDIN, LOCAL]) == (
        "python:3.11 official (sha256:0123456789ab); mine:1 local; "
        "redis:7 stand-in from Debian packages"
    )
    assert bases.described([]) == "none"


def test_only_a_renamed_base_needs_a_build_context() -> None:
    assert bases.build_contexts([OFFICIAL, STANDIN]) == [
        ("redis:7", "docker-image://layerlab-standin/redis:7")
    ]
