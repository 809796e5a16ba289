"""Pulling an image: its name, the command, and what the engine's refusal means."""

import re
import subprocess
from collections.abc import Callable
from threading import Timer

from layerlab.engine.command import last_lines, leash
from layerlab.engine.endpoint import Endpoint
from layerlab.text import counted

#: The registry did not answer, or not with the image: another source may have it.
UNAVAILABLE = "unavailable"
#: The registry answered that there is no such image, or none for this user.
MISSING = "missing"
#: The engine failed by itself: a bad name, a full disk, another platform.
FAILED = "failed"

#: Seconds for a registry's first answer. The engine itself gives up on one address after 15 to 30.
ANSWER_SECONDS = 60.0
#: Seconds for a whole image: 1 GB over 10 Mbit/s.
PULL_SECONDS = 900.0

# What engines 20.10 to 29 say, with both image stores. "no such host" also stands inside messages
# of authorisation ("failed to authorize: … no such host"), so these are looked for first.
_UNAVAILABLE = re.compile(
    r"no such host|server misbehaving|name resolution|i/o timeout|connection refused"
    r"|network is unreachable|no route to host|connection reset|broken pipe|Client\.Timeout"
    r"|TLS handshake timeout|context deadline exceeded|proxyconnect|\bEOF\b|x509:|tls: "
    r"|actively refused|did not properly respond|toomanyrequests|Too Many Requests"
    # A proxy's word, or Docker Hub's page for a barred network; "403 Forbidden" is a registry's.
    r"|\b50[0234] [A-Z]|(?<!\d )Forbidden|error parsing HTTP \d+ response|no answer in",
)
_MISSING = re.compile(
    r"not found|manifest unknown|name unknown|access denied|access to the resource is denied"
    r"|: denied|403 Forbidden|unauthorized|no basic auth credentials|authorization failed|insufficient_scope"
)
_ENGINE_GONE = re.compile(r"Cannot connect to the Docker daemon|error during connect")


def pull_failure(said: str) -> str:
    """What the engine's message about a failed pull means: one of the three kinds above."""
    if _ENGINE_GONE.search(said):
        return FAILED
    if _UNAVAILABLE.search(said):
        return UNAVAILABLE
    return MISSING if _MISSING.search(said) else FAILED


def registry(name: str) -> str:
    """The registry that an image name means: the first part, if it looks like a host."""
    first, slash, _ = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return "docker.io" if not is_host or first == "index.docker.io" else first


def familiar(name: str) -> str:
    """An image name in its short form, with its tag: "docker.io/library/redis" is "redis:latest".

    The rule is that of ``distribution/reference`` (FamiliarString of TagNameOnly).
    """
    host, slash, rest = name.partition("/")
    if slash and host in ("docker.io", "index.docker.io"):
        name = rest
    name = name.removeprefix("library/")
    if "@" in name or ":" in name.rpartition("/")[2]:
        return name
    return f"{name}:latest"


def pull(endpoint: Endpoint, name: str, progress: Callable[[str], None]) -> str | None:
    """Pull an image; None when it is there, else the engine's words why not.

    ``progress`` is told each layer that is complete. The docker command is used because it knows
    the user's logins and credential helpers.
    """
    process = subprocess.Popen(
        [*leash(), *endpoint.command("pull", name)],
        env=endpoint.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    limit = ANSWER_SECONDS
    timer = Timer(limit, process.kill)
    timer.start()
    lines: list[str] = []
    complete = 0
    try:
        for line in process.stdout:
            lines.append(line)
            # "3.11-slim: Pulling from library/python" is the first that needs the registry.
            if limit == ANSWER_SECONDS and "Pulling from" in line:
                timer.cancel()
                limit = PULL_SECONDS
                timer = Timer(limit, process.kill)
                timer.start()
            if "Pull complete" in line:
                complete += 1
                progress(f"pulling {name}: {counted(complete, 'layer')} complete")
        code = process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:  # Ctrl-C: the engine stops the pull when its client is gone
            process.kill()
            process.wait()
    if code == 0:
        return None
    if code < 0:
        return f"no answer in {limit:.0f} s"
    said = last_lines("".join(lines), 1).strip()
    return said.removeprefix("Error response from daemon: ") or f"exit code {code}"
