"""The machine that a run was measured on."""

import hashlib
import hmac
import os
import platform
import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_APP = b"layerlab machine identity"


@dataclass(frozen=True)
class Host:
    """A machine, with what on it has a say in how long things take."""

    #: Tells this machine from others, and says nothing else about it.
    identity: str
    #: "x86_64", "aarch64", …
    machine: str
    processors: int
    processor: str
    memory_bytes: int
    #: "Debian GNU/Linux 12 (bookworm)"
    system: str
    kernel: str
    python: str
    layerlab: str


def here() -> Host:
    """The machine that this runs on; what can't be known is "" or 0."""
    processors, processor = os.cpu_count() or 0, _processor()
    return Host(
        identity=identity(_name(), processor, processors),
        machine=platform.machine(),
        processors=processors,
        processor=processor,
        memory_bytes=_memory_bytes(),
        system=_system(),
        kernel=platform.release(),
        python=platform.python_version(),
        layerlab=layerlab_version(),
    )


def identity(name: str, processor: str, processors: int) -> str:
    """A machine's identity, from its machine ID and its processors.

    Machines that were cloned have one ID, and other processors make another machine of it. The ID is
    hashed with a key, since it must not leave the machine as it is (machine-id(5)).
    """
    words = f"{name}\n{processor}\n{processors}".encode()
    return hmac.new(words, _APP, hashlib.sha256).hexdigest()[:16]


def layerlab_version() -> str:
    """The version of this layerlab; "" where it is not installed."""
    try:
        return version("layerlab")
    except PackageNotFoundError:
        return ""


def _name() -> str:
    for file in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with suppress(OSError):
            if found := Path(file).read_text(encoding="ascii", errors="replace").strip():
                return found
    return socket.gethostname()


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n"):
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                return value.strip()
    return platform.processor()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _system() -> str:
    with suppress(OSError):
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{platform.system()} {platform.mac_ver()[0]}".strip()
