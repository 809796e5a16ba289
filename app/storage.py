"""What every kind of storage shares: how long to wait for a server, and what to say when it fails."""

import logging

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

# Uvicorn configures this logger and no other, so our lines go where its own go.
log = logging.getLogger("uvicorn.error")

# How long a request waits for a server, connecting included.
PATIENCE_SECONDS = 1.0


class Problem(BaseModel):
    """Why there is no answer, as FastAPI writes it."""

    detail: str


# What requests that need a server may be answered with besides, for the API's description.
UNAVAILABLE = {503: {"model": Problem}}


class UnavailableError(Exception):
    """A server that holds our data did not do what we asked; its cause says why."""

    def __init__(self, server: str) -> None:
        super().__init__(f"{server} is not available")


def log_unavailable(error: Exception) -> None:
    cause = error.__cause__
    log.warning("%s: %s", error, str(cause) or type(cause).__name__)  # a TimeoutError has no text


async def answer_unavailable(_: Request, error: Exception) -> JSONResponse:
    log_unavailable(error)
    return JSONResponse({"detail": str(error)}, status_code=503)
