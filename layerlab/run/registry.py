"""A registry of our own: started, asked what it holds, removed.

Engines take any address in 127.0.0.0/8 for a registry without TLS (dockerd, "insecure-registries"), and resolve it
themselves: a registry that is published on an engine's loopback is 127.0.0.1 to that engine, whether it is
here or in a network namespace of its own. On another machine it could not be asked from here, and on all
addresses of that one anybody could write to it: there is none.
"""

import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import docker.errors
import httpx

from layerlab.engine.endpoint import Endpoint
from layerlab.engine.leftovers import Run
from layerlab.errors import LabError
from layerlab.run import accesslog, diagnosis, ports
from layerlab.run.accesslog import Request
from layerlab.run.container import remove
from layerlab.run.manifest import INDEXES, MANIFESTS, Manifest, read
from layerlab.run.ports import PortTaken

IMAGE = "registry:2"
PORT = 5000
MEMORY = "512m"
START_SECONDS = 20
#: For a line of the access log, after its answer.
LOG_SECONDS = 5
#: The grammar of distribution/reference (reference.go), for a repository and a tag.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class Registry:
    """A registry that answers, as a container of an engine."""

    endpoint: Endpoint
    #: The container's.
    name: str
    port: int
    _http: httpx.Client = field(repr=False, compare=False)

    @property
    def address(self) -> str:
        """What an engine with the port on its loopback calls it."""
        return f"127.0.0.1:{self.port}"

    def reference(self, repository: str, tag: str = "latest") -> str:
        """An image's name in this registry; ``tag`` may be a digest.

        Raises:
            LabError: it is no name that Docker takes.
        """
        if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
            raise LabError(
                f"`{repository}` is not a repository's name: use lower-case letters and digits, in "
                "parts between slashes, with single `.`, `_` or `-` inside them"
            )
        if tag.startswith("sha256:"):
            return f"{self.address}/{repository}@{tag}"
        if not _TAG.fullmatch(tag):
            raise LabError(
                f"`{tag}` is not a tag: use up to 128 letters, digits, `_`, `.` and `-`, and begin with "
                "none of the last two"
            )
        return f"{self.address}/{repository}:{tag}"

    def manifest(self, repository: str, tag: str) -> Manifest:
        """An image's manifest, by a tag or a digest; of an index, the first image's.

        Raises:
            LabError: the registry has none.
        """
        answer = self._manifest(repository, tag)
        content: Mapping[str, Any] = answer.json()
        if content.get("mediaType") in INDEXES:
            first = content["manifests"][0]["digest"]
            return self.manifest(repository, first)
        return read(answer.headers["Docker-Content-Digest"], content)

    def digest(self, repository: str, tag: str) -> str:
        """The digest that a tag stands for now.

        Raises:
            LabError: the registry has no such tag.
        """
        return str(self._manifest(repository, tag).headers["Docker-Content-Digest"])

    def requests(self) -> list[Request]:
        """All that it has answered, by its access log."""
        with self.endpoint.connected() as client:
            try:
                log: bytes = client.api.logs(self.name, stdout=True, stderr=False)
            except docker.errors.APIError as error:
                raise LabError(f"the registry's log can't be read: {error.explanation}") from error
        return accesslog.read(log.decode(errors="replace"))

    def fence(self) -> str:
        """Ask for something of no meaning that can be found in the access log; returns its target there."""
        target = f"/v2/?fence={secrets.token_hex(8)}"
        try:
            self._http.get(target)
        except httpx.HTTPError as error:
            raise LabError(f"the registry at {self.address} does not answer: {error}") from error
        return target

    def since(self, fence: str) -> list[Request]:
        """All that it has answered since a fence, up to now: the log has come to a second one.

        Raises:
            LabError: the log does not come that far.
        """
        last = self.fence()
        deadline = time.monotonic() + LOG_SECONDS
        while True:
            answered = self.requests()
            targets = [one.target for one in answered]
            if fence in targets and last in targets:
                return answered[targets.index(fence) + 1 : targets.index(last)]
            if time.monotonic() > deadline:
                raise LabError(
                    f"the access log of the registry at {self.address} lacks what it has answered"
                )
            time.sleep(0.05)

    def _manifest(self, repository: str, tag: str) -> httpx.Response:
        self.reference(repository, tag)
        accept = ", ".join((*MANIFESTS, *INDEXES))
        try:
            path = f"/v2/{repository}/manifests/{tag}"
            answer = self._http.get(path, headers={"Accept": accept})
        except httpx.HTTPError as error:
            raise LabError(f"the registry at {self.address} does not answer: {error}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise LabError(f"the registry at {self.address} has no {repository}:{tag}")
        if answer.is_error:
            raise LabError(
                f"the registry at {self.address} refuses to tell of {repository}:{tag}: "
                f"{answer.status_code} {answer.reason_phrase}"
            )
        return answer


def lacking(endpoint: Endpoint) -> str | None:
    """Why an engine can have no registry of ours, as a clause; None where it can."""
    if endpoint.near:
        return None
    return (
        "the engine is on another machine, where everybody could write to a registry that is reached "
        "from here: use --engine private"
    )


@contextmanager
def serving(endpoint: Endpoint, run: Run, image: str, *, port: int = 0) -> Iterator[Registry]:
    """A registry as a container of ``image``; gone with all that was pushed to it at the end.

    ``port`` is the one on the engine's loopback, 0 for one that is free.

    Raises:
        LabError: the engine is another machine's, the registry does not start, or the port is taken.
    """
    if lack := lacking(endpoint):
        raise LabError(f"no registry is started: {lack}")
    name = f"layerlab-registry-{run.id}-{secrets.token_hex(2)}"

    def start() -> None:
        with ports.taken_told():
            try:
                _start(endpoint, run, image, name, port)
            except LabError:
                remove(endpoint, name)
                raise

    try:
        if not port:
            ports.while_taken(start)
        else:
            try:
                start()
            except PortTaken as error:
                raise LabError(
                    f"the registry can't have port {port} of 127.0.0.1, which is taken: end what "
                    "listens there, or name another port"
                ) from error
        with answering(endpoint, name, image) as registry:
            yield registry
    finally:
        remove(endpoint, name)


def _start(endpoint: Endpoint, run: Run, image: str, name: str, port: int) -> None:
    publish = f"127.0.0.1:{port or ''}:{PORT}"
    words = ["run", "--detach", "--pull", "never", "--name", name, "--publish", publish]
    words += ["--memory", MEMORY, "--memory-swap", MEMORY, "--log-driver", "json-file"]
    words += run.label_words
    endpoint.run(*words, image, doing="starting a registry", timeout=60)


@contextmanager
def answering(endpoint: Endpoint, name: str, image: str) -> Iterator[Registry]:
    """The registry that is a running container, once it answers.

    Raises:
        LabError: it ends or does not answer in time, with the last lines of its log.
    """
    deadline = time.monotonic() + START_SECONDS
    while (url := ports.published(endpoint, diagnosis.inspect(endpoint, name), PORT)) is None:
        _still_there(endpoint, name, image, deadline)
        time.sleep(0.02)
    # Proxies of the environment are for what is far away.
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as http:
        while True:
            with suppress(httpx.HTTPError):
                if http.get("/v2/").status_code == httpx.codes.OK:
                    break
            _still_there(endpoint, name, image, deadline)
            time.sleep(0.02)
        yield Registry(endpoint, name, int(urlsplit(url).port or 0), http)


def _still_there(endpoint: Endpoint, name: str, image: str, deadline: float) -> None:
    state = diagnosis.inspect(endpoint, name)["State"]
    if state["Status"] in ("exited", "dead"):
        raise LabError(
            f"the registry, a container of {image}, ended before it answered (exit code "
            f"{state['ExitCode']}){diagnosis.log_tail(endpoint, name)}"
        )
    if time.monotonic() > deadline:
        raise LabError(
            f"the registry, a container of {image}, did not answer on its port {PORT} in "
            f"{START_SECONDS} s: is it a registry?{diagnosis.log_tail(endpoint, name)}"
        )
