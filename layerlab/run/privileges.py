"""What a compose file that nobody vouches for may not ask for: rights, namespaces, folders of this machine."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from layerlab.errors import LabError
from layerlab.run import composefile

Found = Iterator[tuple[tuple[str, ...], str]]
#: Keys of a service that give it more than a container has, whatever they say.
_MORE = {
    "cap_add": "capabilities",
    "cgroup": "a control group of its own choice",
    "cgroup_parent": "a control group of its own choice",
    "credential_spec": "an account of this machine",
    "device_cgroup_rules": "devices of this machine",
    "devices": "devices of this machine",
    "gpus": "devices of this machine",
    "group_add": "groups of this machine",
    "oom_score_adj": "to be killed after this machine's own processes",
    "post_start": "commands with rights of their own",
    "pre_stop": "commands with rights of their own",
    "provider": "a program of this machine",
    "runtime": "a runtime of its own choice",
    "sysctls": "settings of the kernel",
    "use_api_socket": "the engine's socket",
    "volumes_from": "another container's volumes",
}
#: Keys that are harmless only with some values, in small letters.
_HARMLESS: Mapping[str, tuple[str, ...]] = {
    "network_mode": ("none", "bridge"),
    "pid": (),
    "ipc": ("none", "private", "shareable"),
    "uts": (),
    "userns_mode": (),
}
_OF_BUILD = ("entitlements", "network", "privileged", "secrets", "ssh", "additional_contexts")


def check(config: Mapping[str, Any], files: Sequence[Path], folder: Path) -> None:
    """See to it that a project gives its containers no more than a container's own, and limits.

    ``config`` is the project as `docker compose config --format json` gives it, and ``folder`` the copy of
    it, out of which nothing is mounted or read.

    Raises:
        LabError: it does, with the line that says so.
    """
    for keys, what in _all(config, folder.resolve()):
        place = composefile.nearest(files, keys)
        told = f"{place}: {what}" if place else what
        raise LabError(f"{told}, and --untrusted gives a stack nothing of the kind: leave it out")


def check_files(files: Sequence[Path], folder: Path) -> None:
    """See to it that compose files have compose itself read nothing but the project; before it reads them.

    Raises:
        LabError: they do, with the line.
    """
    for file in files:
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError, yaml.YAMLError, RecursionError):
            continue  # Compose tells what is wrong with it.
        if not isinstance(document, dict):
            continue
        for keys, path in _reads(document):
            if _outside(path, file.parent, folder.resolve()):
                place = composefile.nearest([file], keys)
                raise LabError(
                    f"{place}: `{keys[-1]}` reads {path}, which is outside of the project, and --untrusted "
                    "lets compose read nothing else: leave it out"
                )


def _reads(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    for path in _paths(document.get("include")):
        yield ("include",), path
    services = document.get("services")
    for name, service in services.items() if isinstance(services, dict) else ():
        if isinstance(service, dict):
            for key in ("env_file", "label_file", "extends"):
                for path in _paths(service.get(key), names=key == "extends"):
                    yield ("services", str(name), key), path


def _paths(value: Any, *, names: bool = False) -> Iterator[str]:
    """The paths of `include`, `env_file` or `extends` in each of their forms; ``names`` are no paths."""
    if isinstance(value, str) and not names:
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one)
    elif isinstance(value, dict):
        for key in ("path", "file", "env_file", "project_directory"):
            yield from _paths(value.get(key))


def _all(config: Mapping[str, Any], folder: Path) -> Found:
    for name, service in config["services"].items():
        for keys, what in _service(service, folder):
            yield ("services", name, *keys), f"{name} asks for {what}"
    for kind in ("secrets", "configs"):
        for name, one in (config.get(kind) or {}).items():
            if (path := one.get("file")) and _outside(path, folder, folder):
                yield (kind, name, "file"), f"{name} is the file {path} of this machine"
    for name, one in (config.get("volumes") or {}).items():
        if one.get("driver", "local") != "local" or one.get("driver_opts"):
            yield ("volumes", name), f"the volume {name} is mounted by options of its own"
    for name, one in (config.get("networks") or {}).items():
        if (one or {}).get("driver", "bridge") != "bridge":
            yield ("networks", name, "driver"), f"the network {name} is no bridge"


def _service(service: Mapping[str, Any], folder: Path) -> Found:
    if service.get("privileged"):
        yield ("privileged",), "all rights over this machine (privileged)"
    for key, what in _MORE.items():
        if service.get(key):
            yield (key,), f"{what} ({key})"
    for key, harmless in _HARMLESS.items():
        value = str(service.get(key) or "")
        if value and value.lower() not in harmless:
            yield (key,), f"a namespace that is not its own ({key}: {value})"
    for option in service.get("security_opt") or ():
        if not str(option).startswith("no-new-privileges"):
            yield ("security_opt",), f"less protection ({option})"
    for number, mount in enumerate(service.get("volumes") or ()):
        source = str(mount.get("source", ""))
        if mount.get("type") in ("bind", "npipe", "cluster") and _outside(source, folder, folder):
            what = "the engine's socket" if source.endswith("docker.sock") else f"{source}"
            yield ("volumes", str(number)), f"{what} of this machine"
    for number, port in enumerate(service.get("ports") or ()):
        if not _is_loopback(str(port.get("host_ip", ""))):
            yield ("ports", str(number)), "a port on other addresses than 127.0.0.1"
    build = service.get("build") or {}
    for key in _OF_BUILD:
        if build.get(key):
            yield ("build", key), f"more than a build's own ({key})"
    if (context := build.get("context")) and _outside(str(context), folder, folder):
        yield ("build", "context"), f"the folder {context} of this machine"
    image = str(build.get("dockerfile", ""))
    if image and _outside(image, Path(str(build.get("context", folder))), folder):
        yield ("build", "dockerfile"), f"the file {image} of this machine"
    driver = (service.get("logging") or {}).get("driver", "json-file")
    if driver not in ("json-file", "none"):
        yield ("logging", "driver"), f"a log without a limit ({driver})"


def _outside(path: str, base: Path, folder: Path) -> bool:
    """Whether a path, as seen from ``base``, is outside of a folder; links are followed."""
    return not (base / path).resolve().is_relative_to(folder)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
