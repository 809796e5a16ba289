"""A saved image's archive: the layers, documents and links that were found in it.

Formats: moby ``image/spec/spec.md`` ("Combined Image JSON + Filesystem Changeset Format"), which engines
before 25.0 write, and the OCI image layout, which later ones write, with a ``manifest.json`` of the
former beside it.
"""

from dataclasses import dataclass, field

from layerlab.errors import LabError
from layerlab.image.changeset import MOST_MEMBERS, Changeset
from layerlab.image.tar import shown

#: Of all documents together, their paths and those of links included.
MOST_DOCUMENT_BYTES = 128 << 20
#: Of all layers: an archive of some megabytes may hold a thousand, each below its own limit.
MOST_UNPACKED_BYTES = 256 << 30


@dataclass(frozen=True)
class Blob:
    """A layer as an archive holds it."""

    changeset: Changeset
    #: Its bytes in the archive.
    bytes: int
    #: "gzip", "zstd", or None for a plain tar.
    compression: str | None

    @property
    def compressed_bytes(self) -> int | None:
        """What a push or pull moves: its bytes as it is stored, else as gzip, if that was measured."""
        return self.bytes if self.compression else self.changeset.gzip_bytes


@dataclass
class Archive:
    """What was found in an archive, by the paths in it.

    Keeping more than an image can have raises LabError.
    """

    #: For sentences.
    name: str = "the archive"
    #: Files that are no layers; those that are too long for a manifest are here without their text.
    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Blob] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    _kept_bytes: int = 0
    _entries: int = 0
    _unpacked_bytes: int = 0

    def keep(self, path: str, text: bytes) -> None:
        """Keep a document."""
        self._count(path, text)
        self.documents[path] = text
        self.links.pop(path, None)

    def add(self, path: str, blob: Blob) -> None:
        """Keep a layer."""
        self.layers[path] = blob
        self.links.pop(path, None)
        self._entries += len(blob.changeset.entries)
        self._unpacked_bytes += blob.changeset.tar_bytes
        if self._entries > MOST_MEMBERS or self._unpacked_bytes > MOST_UNPACKED_BYTES:
            raise LabError(
                f"the layers of {self.name} have more than {MOST_MEMBERS:,} entries or "
                f"{MOST_UNPACKED_BYTES >> 30} GiB: it is not read any further; save fewer images at once"
            )

    def link(self, path: str, target: str) -> None:
        """Keep a symbolic or a hard link."""
        self._count(path, target)
        self.links[path] = target

    def _count(self, path: str, content: str | bytes) -> None:
        # Each takes some memory, however short it is.
        self._kept_bytes += len(path) + len(content) + 200
        if self._kept_bytes > MOST_DOCUMENT_BYTES:
            raise LabError(
                f"{self.name} has more than {MOST_DOCUMENT_BYTES >> 20} MiB of files that are no layers: "
                "it is not read any further; save an image with `docker save`"
            )

    def resolve(self, path: str) -> str:
        """A path with the symbolic links of the archive followed; older engines link equal layers."""
        for _ in range(8):
            if path not in self.links:
                break
            path = self.links[path]
        return path

    def document(self, path: str) -> bytes | None:
        return self.documents.get(self.resolve(path))

    def layer(self, path: str) -> Blob | None:
        """A layer by its path.

        Raises:
            LabError: there is such a file, but it is none.
        """
        found = self.layers.get(self.resolve(path))
        if found is None and self.document(path) is not None:
            raise LabError(
                f"{self.name}: {shown(path)} should be a layer and is neither a tar archive nor gzip or zstd "
                "data: save the image again"
            )
        return found
