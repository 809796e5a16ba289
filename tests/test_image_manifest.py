"""Manifests: names, platforms, what is no image, and instructions as a Dockerfile has them."""

import json
from typing import Any

import pytest
from image_makers import (
    ATTESTATION,
    Made,
    blob_path,
    descriptor,
    file,
    image,
    images,
    layer,
    layout,
    made,
    modern,
    oci,
    packed,
    recorded,
)

from layerlab.errors import LabError
from layerlab.image.manifest import instruction

AMD = made(layer(file("amd", 1)), architecture="amd64")
ARM = made(layer(file("arm", 2)), architecture="arm64", variant="v8")
OLD = made(layer(file("old", 3)), architecture="arm", variant="v6")


@pytest.mark.parametrize(
    ("asked", "bytes"),
    [
        *(("linux/amd64", 1), ("linux/arm64", 2), ("linux/arm64/v8", 2), ("linux/arm/v6", 3)),
        # Without one, or where there is no such image, the first.
        *((None, 1), ("linux/arm/v7", 1), ("linux/arm64/v9", 1), ("windows/amd64", 1), ("", 1)),
    ],
)
def test_the_platform_that_is_asked_for_is_chosen(asked: str | None, bytes: int) -> None:
    nested = oci(AMD, ARM, OLD, nested=True)
    assert image(nested, platform=asked).totals.file_bytes == bytes
    # Some tools list the platforms in index.json itself.
    made_of = {one: [*one.layers, one.config, content(one)] for one in (AMD, ARM, OLD)}
    described = [
        descriptor(
            blobs[2],
            platform={"os": "linux", "architecture": one.architecture, "variant": one.variant},
        )
        for one, blobs in made_of.items()
    ]
    flat = layout([blob for blobs in made_of.values() for blob in blobs], described)
    assert image(flat, platform=asked).totals.file_bytes == bytes


def content(one: Made) -> bytes:
    layers = [descriptor(layer) for layer in one.layers]
    return json.dumps({"config": descriptor(one.config), "layers": layers}).encode()


def test_a_platform_is_found_in_the_index_where_the_manifest_has_another() -> None:
    """As the containerd store saves an image for several platforms."""
    listed = [
        {"Config": blob_path(AMD.config), "RepoTags": ["x:1"], "Layers": [blob_path(AMD.layers[0])]}
    ]
    index = json.dumps(
        {
            "manifests": [
                descriptor(content(one), platform={"os": "linux", "architecture": one.architecture})
                for one in (AMD, ARM)
            ]
        }
    ).encode()
    blobs = [blob for one in (AMD, ARM) for blob in (*one.layers, one.config, content(one))]
    data = layout(
        [*blobs, index], [descriptor(index)], {"manifest.json": json.dumps(listed).encode()}
    )
    assert image(data).name == "x:1"
    assert image(data, platform="linux/amd64").name == "x:1"
    assert image(data, platform="linux/arm64").platform == "linux/arm64/v8"
    assert image(data, platform="linux/s390x").platform == "linux/amd64"


def test_an_image_of_another_platform_says_which() -> None:
    assert image(modern(ARM)).platform == "linux/arm64/v8"
    assert image(modern(ARM), platform="linux/amd64").platform == "linux/arm64/v8"


def test_platforms_that_were_not_saved_are_passed_over() -> None:
    described = [
        descriptor(content(one), platform={"os": "linux", "architecture": one.architecture})
        for one in (ARM, AMD)
    ]
    index = json.dumps({"manifests": described}).encode()
    data = layout([*AMD.layers, AMD.config, content(AMD), index], [descriptor(index)])
    for asked in (None, "linux/arm64", "linux/amd64"):
        assert image(data, platform=asked).platform == "linux/amd64"


def test_attestations_and_what_is_no_image_are_passed_over() -> None:
    assert len(images(recorded("26.1-containerd-attested"))) == 1
    about = json.dumps({"config": descriptor(b"{}"), "layers": []}).encode()
    chart = json.dumps(
        {"config": descriptor(b"{}", mediaType="application/vnd.cncf.helm.config.v1+json")}
    ).encode()
    described = [
        descriptor(about, annotations=ATTESTATION),
        descriptor(chart),
        descriptor(content(AMD)),
    ]
    data = layout([*AMD.layers, AMD.config, content(AMD), about, chart, b"{}"], described)
    assert image(data).totals.file_bytes == 1
    with pytest.raises(LabError, match="holds no image"):
        image(layout([chart, b"{}"], described[1:2]))


def test_an_image_with_two_names_in_a_layout_is_one() -> None:
    described = [
        descriptor(content(AMD), annotations={"org.opencontainers.image.ref.name": name})
        for name in ("first:1", "second:1")
    ]
    assert image(layout([*AMD.layers, AMD.config, content(AMD)], described)).name == "first:1"


def test_an_index_that_names_nothing_that_is_there_is_refused() -> None:
    index = json.dumps({"manifests": [descriptor(b"gone")]}).encode()
    with pytest.raises(LabError, match="lacks blobs/sha256/"):
        image(layout([index], [descriptor(index)]))
    # Indexes within indexes end somewhere.
    for _ in range(6):
        index = json.dumps({"manifests": [descriptor(index)]}).encode()
    with pytest.raises(LabError, match="lacks blobs"):
        image(layout([index], [descriptor(index)]))


def test_an_image_without_a_name_is_called_by_its_archive() -> None:
    entry: dict[str, Any] = {"Config": "c", "Layers": ["l"]}
    without: list[dict[str, Any]] = [{}, {"RepoTags": None}, {"RepoTags": []}]
    for tags in without:
        listed = json.dumps([{**entry, **tags}]).encode()
        data = packed({"c": AMD.config, "l": AMD.layers[0], "manifest.json": listed})
        assert image(data).name == "saved.tar"
    assert image(recorded("oci-gzip")).name == "saved.tar"


def test_a_name_that_would_play_with_a_terminal_is_shown() -> None:
    listed = json.dumps(
        [{"Config": "c", "Layers": ["l"], "RepoTags": ["\x1b[2J\ud800:1"]}]
    ).encode()
    data = packed({"c": AMD.config, "l": AMD.layers[0], "manifest.json": listed})
    assert image(data).name == r"\x1b[2J\xd800:1"


@pytest.mark.parametrize(
    ("created_by", "expected"),
    [
        ("RUN /bin/sh -c make # buildkit", "RUN make"),
        ("RUN |2 A=x y B=z /bin/sh -c make all # buildkit", "RUN make all"),
        ("RUN |1 V=1 /bin/bash -o pipefail -c a | b # buildkit", "RUN a | b"),
        ("RUN /bin/ash -eo pipefail -c a # buildkit", "RUN a"),
        ("RUN /bin/sh -c echo one\necho two # buildkit", "RUN echo one\necho two"),
        # The form in brackets has no shell; another program's "sh -c" is its own.
        ("RUN /t/busybox sh -c make # buildkit", "RUN /t/busybox sh -c make"),
        ("RUN |1 V=1 /t/busybox sh -c make # buildkit", "RUN |1 V=1 /t/busybox sh -c make"),
        ("RUN /usr/bin/dash-c -c x", "RUN /usr/bin/dash-c -c x"),
        ("COPY . /app # buildkit", "COPY . /app"),
        ("WORKDIR /app", "WORKDIR /app"),
        ('HEALTHCHECK &{["CMD-SHELL" "true"] "5s"}', 'HEALTHCHECK &{["CMD-SHELL" "true"] "5s"}'),
        # The builder of before.
        ("/bin/sh -c make", "RUN make"),
        ("|1 V=1 /bin/sh -c make", "RUN make"),
        ("/bin/bash -o pipefail -c make", "RUN make"),
        ('/bin/sh -c #(nop)  CMD ["python3"]', 'CMD ["python3"]'),
        ("/bin/sh -c #(nop) COPY dir:5f in /app ", "COPY dir:5f in /app"),
        (
            "# debian.sh --arch 'amd64' out/ 'bookworm'",
            "# debian.sh --arch 'amd64' out/ 'bookworm'",
        ),
        ("Imported from -", "Imported from -"),
        ("", ""),
    ],
)
def test_a_line_of_history_is_shown_as_a_dockerfile_has_it(created_by: str, expected: str) -> None:
    assert instruction(created_by) == expected
