"""A registry's access log: which blobs were uploaded, mounted and downloaded.

The lines are in Apache's combined format, which the registry writes to its standard output
(distribution, registry/registry.go); the requests are those of the OCI distribution specification, 1.1.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_LINE = re.compile(r'"([A-Z]+) (/v2/\S*) HTTP/[0-9.]+" ([0-9]{3}) ([0-9]+)')
_CREATED, _OK, _PARTIAL = 201, 200, 206


@dataclass(frozen=True)
class Request:
    """A request that the registry has answered."""

    method: str
    #: As asked for, with its query.
    target: str
    status: int
    #: Of the answer's body.
    bytes: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def query(self, key: str) -> str | None:
        """The first value of a key of the query."""
        values = parse_qs(urlsplit(self.target).query).get(key)
        return values[0] if values else None


def read(log: str) -> list[Request]:
    """The requests of a log, oldest first; other lines are passed over."""
    found = map(_LINE.search, log.splitlines())
    return [Request(m[1], m[2], int(m[3]), int(m[4])) for m in found if m]


def uploaded(requests: Iterable[Request], repository: str) -> list[str]:
    """The digests of the blobs whose upload to a repository was completed, in their order."""
    start = f"/v2/{repository}/blobs/uploads/"
    return [
        digest
        for one in requests
        if one.method == "PUT" and one.status == _CREATED and one.path.startswith(start)
        if (digest := one.query("digest"))
    ]


def mounted(requests: Iterable[Request], repository: str) -> list[str]:
    """The digests of the blobs that a repository was given from another one, without an upload."""
    start = f"/v2/{repository}/blobs/uploads/"
    return [
        digest
        for one in requests
        if one.method == "POST" and one.status == _CREATED and one.path == start
        if (digest := one.query("mount"))
    ]


def downloaded(requests: Iterable[Request], repository: str) -> dict[str, int]:
    """The bytes that were sent of each blob of a repository."""
    start = f"/v2/{repository}/blobs/"
    sent: dict[str, int] = {}
    for one in requests:
        if one.method == "GET" and one.status in (_OK, _PARTIAL) and one.path.startswith(start):
            digest = one.path.removeprefix(start)
            sent[digest] = sent.get(digest, 0) + one.bytes
    return sent


def has_manifest(requests: Iterable[Request], repository: str) -> bool:
    """Whether a manifest was put into a repository, which ends a push."""
    start = f"/v2/{repository}/manifests/"
    return any(
        one.method == "PUT" and one.status == _CREATED and one.path.startswith(start)
        for one in requests
    )
