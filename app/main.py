"""A small service that keeps notes and counts visits: what all the Dockerfiles package.

    uvicorn main:app --host 0.0.0.0 --port 8000
    uvicorn main:app --reload

It needs nothing else. With PostgreSQL and Redis (see settings.py) its data outlives it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

import notes
import status
import visits
from settings import Settings, load_settings
from storage import UnavailableError, answer_unavailable, log


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        await asyncio.sleep(settings.start_delay_seconds)
        async with (
            notes.open_notes(settings.database_dsn, settings.database_password) as notes_store,
            visits.open_visits(settings.redis_url) as visits_store,
        ):
            # What is yielded here is `request.state` in every request.
            yield {"settings": settings, "notes": notes_store, "visits": visits_store}
        log.info("shutdown complete")

    app = FastAPI(title="Notes and visits", lifespan=lifespan)
    app.add_exception_handler(UnavailableError, answer_unavailable)
    app.include_router(status.router)
    app.include_router(notes.router)
    app.include_router(visits.router)

    @app.get("/")
    async def greet() -> dict[str, Any]:
        links = ["/health", "/ready", "/info", "/notes", "/visits", "/docs"]
        return {"message": f"Hello from {settings.app_name}", "links": links}

    return app


app = create_app(load_settings())
