"""The tree that we put together from layers, against the files that a container of the image has."""

import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from layerlab.build.buildx import Build
from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.image.export import from_engine
from layerlab.image.memory import Memory
from layerlab.image.tree import Tree

pytestmark = pytest.mark.engine
#: Each line does to the lines before it what an overlay file system has a way of its own to record.
TRICKY = """\
FROM SLIM
RUN mkdir -p /t/a/b /t/c /t/dir && echo 1 > /t/a/b/x && echo 22 > /t/a/y && ln /t/a/y /t/c/ylink \\
    && ln -s ../a /t/c/s && echo f > /t/dir/f && echo file > /t/file && mkfifo /t/fifo \\
    && head -c 5000 /dev/zero > /t/big && printf x > "/t/$(printf 'caf\\351')" && truncate -s 1M /t/sparse
RUN rm -r /t/dir && echo now a file > /t/dir && rm /t/file && mkdir /t/file && echo z > /t/file/z
RUN rm -r /t/a && mkdir /t/a && echo new > /t/a/new
RUN chown -R 1000 /t/c && chmod 600 /t/big
RUN rm /t/c/ylink && mv /t/big /t/big2 && rm -r /usr/share/doc && mkdir /usr/share/doc && echo q > /usr/share/doc/q
RUN ln /t/big2 /t/big3 && cp -al /usr/local/lib/python3.11/json /json && rm -r /usr/local/lib/python3.11/json
RUN deep=/deep && for i in $(seq 90); do deep=$deep/0123456789012345678901234567890123456789; done \\
    && mkdir -p $deep && echo d > $deep/f
"""
#: What an engine itself puts into a container.
OWN = {
    ".dockerenv",
    "dev",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "proc",
    "sys",
}


def in_container(endpoint: Endpoint, run: Run, reference: str) -> dict[str, int | None]:
    """The bytes of each file, by its path; None for what is no file. Links have those of their file."""
    connection = endpoint.connect(timeout=120)
    container = connection.containers.create(reference, "true", labels=run.labels)
    try:
        pieces: Any = container.export()
        data = io.BytesIO(b"".join(pieces))
    finally:
        container.remove(force=True)
        connection.close()
    found: dict[str, int | None] = {}
    with tarfile.open(fileobj=data) as archive:
        for info in archive:
            size = found[info.linkname] if info.islnk() else info.size if info.isreg() else None
            found[info.name.rstrip("/")] = size
    return found


def test_the_tree_is_what_a_container_sees(
    endpoint: Endpoint, run: Run, build_text: Callable[..., Build]
) -> None:
    built = build_text(TRICKY)
    assert built.failure is None
    reference = f"layerlab/test:{run.id}"
    image = from_engine(endpoint, reference, Memory(), compress=False)
    tree = Tree(layer.changeset for layer in image.layers)
    ours = {
        node.path: node.file.entry.bytes if node.file else None
        for node in tree.nodes.values()
        if node.path
    }
    real = in_container(endpoint, run, reference)
    different = {
        path: (ours.get(path, "missing"), real.get(path, "missing"))
        for path in {*ours, *real}
        if ours.get(path, "missing") != real.get(path, "missing")
        and path not in OWN
        and not path.startswith("dev/")
    }
    assert different == {}
    assert ours["t/caf\udce9"] == 1
    assert ours["t/big3"] == 5000
    assert ours["json/decoder.py"]
    assert len(ours) > 5_000
