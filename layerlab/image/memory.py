"""What was analysed before: a layer is read once, and remembered by its digest.

A cache, one SQLite file for each user: it may be deleted at any time, and one that can't be read is begun
anew.
"""

import gzip
import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from layerlab.folders import cache_folder
from layerlab.image.archive import Blob
from layerlab.image.changeset import Changeset, Entry
from layerlab.image.manifest import Description

#: Changed whenever something else is read from a layer; older files are begun anew.
VERSION = 3
#: Some hundred bytes for each file of a layer, compressed: with layers of 5,000 files about 100 MB.
MOST_CHANGESETS = 1_000
_SCHEMA = """
CREATE TABLE changeset (digest TEXT PRIMARY KEY, content BLOB NOT NULL, used INTEGER NOT NULL);
CREATE TABLE blob (path TEXT PRIMARY KEY, digest TEXT NOT NULL, bytes INTEGER NOT NULL, compression TEXT);
CREATE TABLE image (id TEXT PRIMARY KEY, name TEXT NOT NULL, config BLOB NOT NULL, paths TEXT NOT NULL);
"""
_T = TypeVar("_T")


@dataclass
class Memory:
    """Layers and images that an engine has shown before.

    Only what an engine says of itself may be looked up by a blob's path: in an archive from elsewhere a
    path proves nothing.
    """

    path: Path | None = None

    def __post_init__(self) -> None:
        self._changesets: dict[str, Changeset] = {}
        self._blobs: dict[str, tuple[str, int, str | None]] = {}
        self._images: dict[str, Description] = {}

    def changeset(self, digest: str) -> Changeset | None:
        """A layer by its digest."""
        if digest not in self._changesets:
            row = self._use(lambda db: _take(db, digest))
            found = _decoded(row[0]) if row else None
            if found is None:
                return None  # not known, or damaged: it is read again
            self._changesets[digest] = found
        return self._changesets[digest]

    def blob(self, path: str, *, compress: bool) -> Blob | None:
        """A layer by its path in what the engine saves; with ``compress`` only if that was measured."""
        found = self._blobs.get(path) or self._use(
            lambda db: db.execute(
                "SELECT digest, bytes, compression FROM blob WHERE path = ?", (path,)
            ).fetchone()
        )
        changeset = self.changeset(found[0]) if found else None
        if not found or changeset is None:
            return None
        blob = Blob(changeset, found[1], found[2])
        return None if compress and blob.compressed_bytes is None else blob

    def image(self, identity: str) -> Description | None:
        """An image by what it is remembered by."""
        if identity in self._images:
            return self._images[identity]
        row = self._use(
            lambda db: db.execute(
                "SELECT name, config, paths FROM image WHERE id = ?", (identity,)
            ).fetchone()
        )
        return Description(row[0], row[1], tuple(json.loads(row[2]))) if row else None

    def keep_blob(self, path: str, blob: Blob) -> None:
        """Remember a layer that was read."""
        changeset, digest = blob.changeset, blob.changeset.digest
        self._changesets[digest] = changeset
        self._blobs[path] = (digest, blob.bytes, blob.compression)

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO changeset SELECT ?, ?, coalesce(max(used), 0) + 1 FROM changeset",
                (digest, _encoded(changeset)),
            )
            db.execute(
                "INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?)",
                (path, digest, blob.bytes, blob.compression),
            )
            db.execute(
                "DELETE FROM changeset WHERE digest NOT IN"
                " (SELECT digest FROM changeset ORDER BY used DESC LIMIT ?)",
                (MOST_CHANGESETS,),
            )
            db.execute("DELETE FROM blob WHERE digest NOT IN (SELECT digest FROM changeset)")

        self._use(write)

    def keep_image(self, identity: str, description: Description) -> None:
        """Remember how an image is put together."""
        self._images[identity] = description
        row = (identity, description.name, description.config, json.dumps(description.paths))
        self._use(lambda db: db.execute("INSERT OR REPLACE INTO image VALUES (?, ?, ?, ?)", row))

    def _use(self, action: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Do something with the file; what it says is a convenience, so its failures end nothing."""
        if self.path is None:
            return None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)  # it names the files of private images
            db = sqlite3.connect(self.path, timeout=10)
            try:
                with db:
                    _prepare(db)
                    return action(db)
            finally:
                db.close()
        except (sqlite3.OperationalError, OSError):
            return None  # locked, or the disk is full
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self.path.unlink()
            return None


def of_user() -> Memory:
    """The memory of this user."""
    return Memory(cache_folder() / "layers.sqlite")


def _take(db: sqlite3.Connection, digest: str) -> Any:
    db.execute(
        "UPDATE changeset SET used = (SELECT max(used) + 1 FROM changeset) WHERE digest = ?",
        (digest,),
    )
    return db.execute("SELECT content FROM changeset WHERE digest = ?", (digest,)).fetchone()


def _prepare(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    for table in ("changeset", "blob", "image"):
        db.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in _SCHEMA.strip().split("\n"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _encoded(changeset: Changeset) -> bytes:
    parts = (
        changeset.digest,
        changeset.tar_bytes,
        changeset.gzip_bytes,
        changeset.entries,
        dict(changeset.records),
        changeset.stray,
    )
    # ASCII, so that names which are not UTF-8 come back as they were.
    return gzip.compress(json.dumps(parts).encode("ascii"), compresslevel=1)


def _decoded(content: bytes) -> Changeset | None:
    try:
        digest, tar_bytes, gzip_bytes, entries, records, stray = json.loads(
            gzip.decompress(content)
        )
        return Changeset(
            digest, tar_bytes, gzip_bytes, tuple(map(Entry._make, entries)), records, tuple(stray)
        )
    except (OSError, EOFError, zlib.error, ValueError, TypeError):
        return None
