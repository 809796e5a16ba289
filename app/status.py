"""What the app says about itself: is it alive, is it ready, what is it, and where does it run."""

import asyncio
import os
import platform
import socket
import sys
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from notes import Notes, NotesDependency
from settings import Settings
from storage import UnavailableError, log_unavailable
from visits import Visits, VisitsDependency

SHOWN_PREFIX = "LAB_"
DependencyState = Literal["ok", "not configured", "unreachable"]


class Health(BaseModel):
    status: Literal["ok", "fault"]


class Readiness(BaseModel):
    status: Literal["ready", "not ready"]
    dependencies: dict[str, DependencyState]


class Info(BaseModel):
    app_name: str
    version: str
    hostname: str
    pid: int
    python: str
    user_id: int | None
    in_container: bool
    storage: dict[str, str]
    environment: dict[str, str]


def get_settings(request: Request) -> Settings:
    settings: Settings = request.state.settings
    return settings


SettingsDependency = Annotated[Settings, Depends(get_settings)]
router = APIRouter(tags=["status"])


@router.get("/health", responses={503: {"model": Health}})
async def read_health(response: Response, settings: SettingsDependency) -> Health:
    """Liveness: only the app itself, because restarting it would not bring its database back."""
    if settings.health_fault_file.exists():
        response.status_code = 503
        return Health(status="fault")
    return Health(status="ok")


@router.get("/ready", responses={503: {"model": Readiness}})
async def read_readiness(
    response: Response, notes: NotesDependency, visits: VisitsDependency
) -> Readiness:
    """Readiness: whether all that is configured can be reached now."""
    postgresql, redis = await asyncio.gather(dependency_state(notes), dependency_state(visits))
    dependencies = {"postgresql": postgresql, "redis": redis}
    if "unreachable" in dependencies.values():
        response.status_code = 503
        return Readiness(status="not ready", dependencies=dependencies)
    return Readiness(status="ready", dependencies=dependencies)


async def dependency_state(store: Notes | Visits) -> DependencyState:
    if store.storage == "memory":
        return "not configured"
    try:
        await store.check()
    except UnavailableError as error:
        log_unavailable(error)
        return "unreachable"
    return "ok"


@router.get("/info")
async def read_info(
    settings: SettingsDependency, notes: NotesDependency, visits: VisitsDependency
) -> Info:
    return Info(
        app_name=settings.app_name,
        version=settings.version,
        hostname=socket.gethostname(),
        pid=os.getpid(),
        python=platform.python_version(),
        user_id=os.getuid() if sys.platform != "win32" else None,
        in_container=in_container(),
        storage={"notes": notes.storage, "visits": visits.storage},
        environment=shown_environment(),
    )


def shown_environment() -> dict[str, str]:
    """The variables that are there to be shown; any other could be a secret."""
    return {
        # As in settings.py: UTF-8, whatever the locale.
        name: os.fsencode(value).decode(errors="backslashreplace")
        for name, value in os.environ.items()
        if name.startswith(SHOWN_PREFIX)
    }


def in_container() -> bool:
    """Docker and Podman each leave a mark in the file system of a container."""
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()


@router.get("/slow")
async def wait_a_while(seconds: Annotated[float, Query(ge=0, le=30)] = 5) -> dict[str, float]:
    """A request that is long in flight, to see what stopping the app does to it."""
    await asyncio.sleep(seconds)
    return {"seconds": seconds}
