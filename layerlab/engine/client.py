"""The docker client: the command and its plugins, the user's or our own."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Client:
    """A ``docker`` command with its plugins."""

    docker: str
    #: Added to the environment of its commands; our own client has a configuration of its own.
    environ: Mapping[str, str] = field(default_factory=dict)

    def plugin_version(self, plugin: str) -> str | None:
        """The version of a plugin ("buildx", "compose"), or None where it is missing."""
        try:
            done = subprocess.run(
                [self.docker, plugin, "version"],
                check=False,
                env={**os.environ, **self.environ},
                capture_output=True,
                text=True,
                timeout=30,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        # "github.com/docker/buildx v0.29.1 …", "Docker Compose version 2.40.3"
        words = [word for word in done.stdout.split() if word.lstrip("v")[:1].isdigit()]
        return words[0].lstrip("v") if done.returncode == 0 and words else None

    def current_context(self) -> str:
        """The context that `docker context use` chose, from the client's configuration file."""
        folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
        try:
            return str(json.loads((folder / "config.json").read_text()).get("currentContext", ""))
        except (OSError, ValueError, AttributeError):
            return ""  # No configuration, or none that docker itself would read.


def users_client() -> Client | None:
    """The client on the user's PATH, if there is one."""
    found = shutil.which("docker")
    return Client(found) if found else None
