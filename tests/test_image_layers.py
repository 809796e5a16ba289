"""Layers in their places: the lines of a Dockerfile, the base, and totals."""

import pytest
from image_makers import classic, file, image, layer, made, modern, oci

from layerlab.build.dockerfile import parse
from layerlab.errors import LabError
from layerlab.image.layers import Image, from_dockerfile, on_base

#: A Dockerfile, and the history that Engine 28.5.2 (BuildKit) wrote for it.
DOCKERFILE = """\
ARG BASE=python:3.11-slim
ARG UNUSED=1
FROM ${BASE} AS builder
WORKDIR /w
RUN echo built > /w/out

FROM $BASE AS runtime
ARG VERSION=1
ENV A=1 B=2
WORKDIR /app
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN <<EOF
echo one > /one
echo two > /two
EOF
COPY <<here /conf
text
here
LABEL x="y z"
EXPOSE 8000
VOLUME /data
STOPSIGNAL SIGINT
ONBUILD RUN echo no

FROM runtime
MAINTAINER someone
COPY --from=builder /w/out /app/out
ADD --chown=1:1 \\
    add.txt \\
    /app/
USER nobody
RUN true
HEALTHCHECK --interval=5s CMD true
ENTRYPOINT ["python3"]
CMD ["-c", "pass"]
"""
BASE = (
    ("", True),
    ("ENV LANG=C.UTF-8", False),
    ("RUN |1 PIP_VERSION=25.3 /bin/sh -c sh /run/install.sh # buildkit", True),
    ('CMD ["python3"]', False),
)
OWN = (
    ("ARG VERSION=1", False),
    ("ENV A=1 B=2", False),
    ("WORKDIR /app", True),
    ("SHELL [/bin/bash -o pipefail -c]", False),
    (
        "RUN |1 VERSION=1 /bin/bash -o pipefail -c echo one > /one\necho two > /two\n # buildkit",
        True,
    ),
    ("COPY <<here /conf # buildkit", True),
    ("LABEL x=y z", False),
    ("EXPOSE [8000/tcp]", False),
    ("VOLUME [/data]", False),
    ("STOPSIGNAL SIGINT", False),
    ("RUN |1 VERSION=1 /bin/bash -o pipefail -c echo no # buildkit", True),
    ("MAINTAINER someone", False),
    ("COPY /w/out /app/out # buildkit", True),
    ("ADD --chown=1:1 add.txt /app/ # buildkit", True),
    ("USER nobody", False),
    ("RUN |1 VERSION=1 /bin/bash -o pipefail -c true # buildkit", True),
    (
        'HEALTHCHECK &{["CMD-SHELL" "true"] "5s" "0s" "0s" "0s" \'\\x00\'}',
        False,
    ),
    ('ENTRYPOINT ["python3"]', False),
    ('CMD ["-c" "pass"]', False),
)


def with_history(*history: tuple[str, bool], layers: int | None = None) -> Image:
    count = sum(makes for _, makes in history) if layers is None else layers
    contents = [layer(file(f"f{number}", number)) for number in range(count)]
    return image(classic(made(*contents, history=history)))


def lines(image: Image, dockerfile: str) -> list[int]:
    return [one.line for one in from_dockerfile(image, parse(dockerfile)).layers]


def test_each_layer_has_the_line_of_its_instruction() -> None:
    found = from_dockerfile(with_history(*BASE, *OWN), parse(DOCKERFILE))
    assert [(one.line, one.instruction) for one in found.layers] == [
        (0, ""),
        (0, "RUN sh /run/install.sh"),
        (10, "WORKDIR /app"),
        (12, "RUN echo one > /one\necho two > /two"),
        (16, "COPY <<here /conf"),
        # What ONBUILD has the next stage do; it is no instruction of its own.
        (23, "RUN echo no"),
        (27, "COPY /w/out /app/out"),
        (28, "ADD --chown=1:1 add.txt /app/"),
        (32, "RUN true"),
    ]


def test_another_dockerfile_leaves_an_image_as_it_is() -> None:
    whole = with_history(*BASE, *OWN)
    for other in (
        *("", "FROM x\nRUN a\nRUN b", DOCKERFILE + "RUN more\n", f"{DOCKERFILE}USER root\n"),
        DOCKERFILE.replace("USER nobody", "ENV USER=nobody"),
        "FROM x\n" + "RUN a\n" * 90,
    ):
        assert from_dockerfile(whole, parse(other)) == whole


def test_a_dockerfile_of_nothing_but_from_adds_no_lines() -> None:
    assert lines(with_history(*BASE), "FROM python:3.11-slim\n") == [0, 0]
    assert lines(with_history(), "FROM scratch\n") == []


def test_a_history_that_says_nothing_of_the_layers_adds_no_lines() -> None:
    history = (("RUN a", True), ("RUN b", True))
    for layers in (0, 1, 3):
        found = with_history(*history, layers=layers)
        assert lines(found, "FROM x\nRUN a\nRUN b") == [0] * layers
        assert [one.instruction for one in found.layers] == [""] * layers
    assert lines(with_history(*history), "FROM x\nRUN a\nRUN b") == [2, 3]


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("FROM a AS b\nRUN x\nFROM b\nRUN y", ["a", 2, 4]),
        ("ARG B=b\nFROM a AS b\nRUN x\nFROM ${B}\nRUN y", ["a", 3, 5]),
        ("FROM a AS b\nRUN x\nFROM c\nCOPY --from=b x y", ["c", 4]),
        ("FROM a AS B\nFROM b AS a\nRUN x", ["a", 3]),
        ("FROM a AS b\nONBUILD RUN x\nRUN y\nFROM b AS c\nRUN z\nFROM c\nRUN w", ["a", 3, 2, 5, 7]),
        # The last stage's own triggers are for images that are built on it.
        ("FROM a\nONBUILD RUN x\nRUN y", ["a", 3]),
        ("FROM a AS b\nONBUILD", ["a"]),
        ("FROM a AS b\nONBUILD\nFROM b", ["a", 2]),
        ("RUN x", [""]),
        ("", [""]),
    ],
)
def test_the_lineage_of_the_last_stage(dockerfile: str, expected: list[object]) -> None:
    base, instructions = parse(dockerfile).lineage()
    assert [base, *(one.line for one in instructions)] == expected


def test_the_lowest_layers_are_the_bases() -> None:
    whole = with_history(*BASE, *OWN)
    digests = [one.changeset.digest for one in whole.layers]
    found = on_base(whole, "python:3.11-slim", digests[:2])
    assert [one.base for one in found.layers] == [True, True, *[False] * 7]
    assert found.base == "python:3.11-slim"
    assert (found.own.layers, found.totals.layers) == (7, 9)
    assert found.own.file_bytes == sum(range(2, 9))
    assert found.own.unpacked_bytes == 7 * 2048
    assert found.totals.unpacked_bytes == 9 * 2048 - 512
    assert on_base(whole, "scratch", []).own == whole.totals
    # Built on nothing else than its base.
    assert on_base(whole, "same", digests).own.layers == 0


@pytest.mark.parametrize("wrong", [[1], [0, 2], [*range(9), 0]])
def test_an_image_that_does_not_stand_on_a_base_says_so(wrong: list[int]) -> None:
    whole = with_history(*BASE, *OWN)
    digests = [whole.layers[position].changeset.digest for position in wrong]
    with pytest.raises(LabError, match="does not stand on other:1"):
        on_base(whole, "other:1", digests)


def test_compressed_bytes_are_known_only_if_each_layers_are() -> None:
    layers = [layer(file("a", 5)), layer(file("b", 600))]
    assert image(modern(made(*layers))).totals.compressed_bytes is None
    measured = image(modern(made(*layers)), compress=True)
    assert measured.totals.compressed_bytes == sum(
        one.changeset.gzip_bytes or 0 for one in measured.layers
    )
    mixed = [image(oci(made(*layers))).layers[0], measured.layers[1]]
    both = Image("x", "sha256:1", "linux/amd64", tuple(mixed))
    assert both.compression == "gzip and gzip -6"
    assert both.totals.compressed_bytes == sum(one.compressed_bytes or 0 for one in mixed)
