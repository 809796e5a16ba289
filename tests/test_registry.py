"""The registry lab without an engine: the access log, names, refusals, tables."""

from pathlib import Path

import httpx
import pytest

from layerlab.build.variant import load
from layerlab.engine.client import Client
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.labs import registry as registry_lab
from layerlab.run import accesslog, transfers
from layerlab.run.accesslog import Request
from layerlab.run.manifest import Blob, Manifest
from layerlab.run.moves import FIRST, PULL, PUSHES, UPDATE, Moves, judge
from layerlab.run.registry import Registry, serving
from layerlab.run.transfers import Pull, Push
from layerlab.show import registry as tables

#: Of registry 2.8, shortened: a push by Engine 28.5 of one layer, one that is mounted, and a configuration; a pull.
LOG = """\
172.17.0.1 - - [25/Nov/2026:17:19:28 +0000] "HEAD /v2/v/one/blobs/sha256:aa HTTP/1.1" 404 157 "" "docker/28.5.2"
172.17.0.1 - - [25/Nov/2026:17:19:28 +0000] "POST /v2/v/one/blobs/uploads/?from=base&mount=sha256%3Abb HTTP/1.1" 201 0 "" "docker/28.5.2"
172.17.0.1 - - [25/Nov/2026:17:19:28 +0000] "POST /v2/v/one/blobs/uploads/?from=base&mount=sha256%3Acc HTTP/1.1" 202 0 "" "docker/28.5.2"
172.17.0.1 - - [25/Nov/2026:17:19:28 +0000] "PATCH /v2/v/one/blobs/uploads/d06f09a2?_state=wvv%3D%3D HTTP/1.1" 202 0 "" "docker/28.5.2"
172.17.0.1 - - [25/Nov/2026:17:19:28 +0000] "PUT /v2/v/one/blobs/uploads/d06f09a2?_state=zjo%3D&digest=sha256%3Aaa HTTP/1.1" 201 0 "" "docker/28.5.2 (linux\\)"
time="2026-11-25T17:19:28Z" level=info msg="response completed" http.request.method=PUT
172.17.0.1 - - [25/Nov/2026:17:19:29 +0000] "PUT /v2/v/one-more/blobs/uploads/4373?digest=sha256%3Aee HTTP/1.1" 201 0 "" "docker/28.5.2"
172.17.0.1 - - [25/Nov/2026:17:19:29 +0000] "PUT /v2/v/one/manifests/latest HTTP/1.1" 201 0 "" "docker/28.5.2"
172.17.0.1 - - [25/Nov/2026:17:19:30 +0000] "GET /v2/v/one/blobs/sha256:aa HTTP/1.1" 200 1000 "" "docker/28.5.2"
172.17.0.1 - - [25/Nov/2026:17:19:30 +0000] "GET /v2/v/one/blobs/sha256:aa HTTP/1.1" 206 24 "" "docker/28.5.2"
172.17.0.1 - - [25/Nov/2026:17:19:30 +0000] "GET /v2/v/one/blobs/sha256:dd HTTP/1.1" 404 99 "" "docker/28.5.2"
"""
PROJECT = Path(__file__).parent.parent
ENDPOINT = Endpoint("unix:///none.sock", "--engine", Client("docker"))
OWN = Blob("sha256:" + "a" * 64, 10_183_934)
SOURCE = Blob("sha256:" + "b" * 64, 8_441)
BASE = Blob("sha256:" + "c" * 64, 55_236_928)


def registry(answers: dict[str, httpx.Response] | None = None) -> Registry:
    def answer(request: httpx.Request) -> httpx.Response:
        return (answers or {}).get(request.url.path, httpx.Response(404))

    transport = httpx.MockTransport(answer)
    return Registry(ENDPOINT, "it", 5001, httpx.Client(transport=transport, base_url="http://it"))


def test_the_access_log_tells_uploads_mounts_and_downloads() -> None:
    requests = accesslog.read(LOG)
    assert requests[0] == Request("HEAD", "/v2/v/one/blobs/sha256:aa", 404, 157)
    assert accesslog.uploaded(requests, "v/one") == ["sha256:aa"]
    assert accesslog.mounted(requests, "v/one") == ["sha256:bb"]
    assert accesslog.downloaded(requests, "v/one") == {"sha256:aa": 1024}
    assert accesslog.has_manifest(requests, "v/one")
    assert not accesslog.has_manifest(requests, "v/one-more")


@pytest.mark.parametrize(
    ("repository", "tag", "reference"),
    [
        ("layerlab/web", "latest", "127.0.0.1:5001/layerlab/web:latest"),
        ("a__b/c-d.e", "V1_2.3-x", "127.0.0.1:5001/a__b/c-d.e:V1_2.3-x"),
        ("web", "sha256:12", "127.0.0.1:5001/web@sha256:12"),
    ],
)
def test_names(repository: str, tag: str, reference: str) -> None:
    assert registry().reference(repository, tag) == reference


@pytest.mark.parametrize(
    ("repository", "tag", "said"),
    [
        ("Web", "1", "`Web` is not a repository's name"),
        ("web//two", "1", "not a repository's name"),
        ("../web", "1", "not a repository's name"),
        ("a" * 256, "1", "not a repository's name"),
        ("web", ".1", "`.1` is not a tag"),
        ("web", "a b", "`a b` is not a tag"),
        ("web", "", "`` is not a tag"),
    ],
)
def test_odd_names_are_told(repository: str, tag: str, said: str) -> None:
    with pytest.raises(LabError) as caught:
        registry().reference(repository, tag)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_manifests_of_one_image_and_of_several() -> None:
    one = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": "sha256:cf", "size": 3},
        "layers": [
            {"digest": "sha256:aa", "size": 5},
            {"digest": "sha256:bb", "size": 7, "mediaType": "a/layer.v1.tar"},
        ],
    }
    several = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"digest": "sha256:11"}, {"digest": "sha256:22"}],
    }
    head = {"Docker-Content-Digest": "sha256:11"}
    there = registry(
        {
            "/v2/web/manifests/latest": httpx.Response(200, json=several, headers=head),
            "/v2/web/manifests/sha256:11": httpx.Response(200, json=one, headers=head),
            "/v2/secret/manifests/latest": httpx.Response(401),
        }
    )
    found = there.manifest("web", "latest")
    assert found == Manifest(
        "sha256:11", Blob("sha256:cf", 3), (Blob("sha256:aa", 5), Blob("sha256:bb", 7, plain=True))
    )
    assert found.bytes == 12
    with pytest.raises(LabError, match="has no web:gone"):
        there.manifest("web", "gone")
    with pytest.raises(LabError, match="refuses to tell of secret:latest: 401 Unauthorized"):
        there.digest("secret", "latest")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            'x\n    Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
            "the registry does not answer (Get",
        ),
        (
            "x\n    Error response from daemon: unsupported: The operation is unsupported.",
            "the registry refuses it (unsupported: The operation is unsupported.)",
        ),
        (
            'x\n    Get "https://10.0.0.1:5000/v2/": http: server gave HTTP response to HTTPS client',
            "the engine wants TLS of that registry",
        ),
        (
            "x\n    An image does not exist locally with the tag: 127.0.0.1:1/none",
            "the engine has no image",
        ),
    ],
)
def test_refusals(said: str, told: str) -> None:
    sentence = transfers.refusal("web:1", "127.0.0.1:5001/web:1", said)
    assert sentence.startswith("web:1 can't be pushed")
    assert told in sentence
    assert "\n" not in sentence


def moves(source: tuple[Blob, ...], *, pulled: bool = True) -> Moves:
    push = Push(Manifest("sha256:1", Blob("sha256:2", 9), (BASE, OWN, SOURCE)), 12.345, (OWN,), ())
    new = {FIRST: (OWN, SOURCE), "source-edit": source, "requirements-edit": (OWN, SOURCE)}
    pulls = {PULL: Pull("i", 1.5, (OWN, SOURCE)), UPDATE: Pull("i", 0.1, source)} if pulled else {}
    return Moves("v", dict.fromkeys(PUSHES, push), new, pulls, "moved", True, 64_028_579)


def test_what_an_edit_cost_on_the_wire() -> None:
    assert judge(moves((SOURCE,)), "source-edit") == "copy"
    assert judge(moves((SOURCE, OWN)), "source-edit") == "install"
    assert judge(moves(()), "source-edit") == "nothing"


def test_an_edit_that_sends_the_dependencies_again_is_explained() -> None:
    variant = load(PROJECT / "dockerfiles" / "single-stage.Dockerfile")
    told = registry_lab.explain(variant, moves((SOURCE, OWN)), "source-edit", "copy")
    assert told.splitlines()[0] == (
        "single-stage.Dockerfile: the push after the source-edit sent 10.2 MB in 2 layers, of 10.2 MB of the "
        "first push; expected: copy, got: install."
    )
    assert "Copy only what the install needs first" in told


def test_tables_fit_80_columns() -> None:
    rows = {"multi-stage-no-by": moves((SOURCE,)), "b|<script>": moves((OWN,), pulled=False)}
    pushes = tables.pushes(rows, PUSHES, "simple").splitlines()
    assert pushes[-2].split("  ")[0] == "multi-stage-no-by"
    assert "1  8.44 kB  12.35 s" in pushes[-2]
    pulls = tables.pulls(rows, (PULL, UPDATE), "simple").splitlines()
    assert pulls[-2].endswith("2  10.2 MB  1.50 s  1  8.44 kB  0.10 s  65.4   64.0  +2.2%")
    assert pulls[-1].split() == ["b|<script>", "-", "-", "65.4", "64.0", "+2.2%"]
    assert max(map(len, (*pushes, *pulls))) <= 80
    assert r"b\|\<script\>" in tables.pushes(rows, PUSHES, "github")


def test_a_registry_is_not_started_on_another_machine() -> None:
    far = Endpoint("tcp://192.0.2.1:2376", "--engine", Client("docker"))
    with (
        pytest.raises(LabError, match="no registry is started: the engine is on another machine"),
        serving(far, Run("r", PROJECT), "registry:2"),
    ):
        pytest.fail("anybody could write to it")
