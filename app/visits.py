"""A visit counter: kept in Redis, or in memory where there is none."""

from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from storage import PATIENCE_SECONDS, UNAVAILABLE, UnavailableError

KEY = "visits"


class Count(BaseModel):
    count: int


class Visits(Protocol):
    """A place to count visits in."""

    storage: str

    async def check(self) -> None: ...
    async def add(self) -> int: ...
    async def count(self) -> int: ...


class MemoryVisits:
    storage = "memory"

    def __init__(self) -> None:
        self._count = 0

    async def check(self) -> None:
        pass

    async def add(self) -> int:
        self._count += 1
        return self._count

    async def count(self) -> int:
        return self._count


class RedisVisits:
    storage = "redis"

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def check(self) -> None:
        async with self._unavailable_on_error():
            await self._client.ping()

    async def add(self) -> int:
        async with self._unavailable_on_error():
            return int(await self._client.incr(KEY))

    async def count(self) -> int:
        async with self._unavailable_on_error():
            return int(await self._client.get(KEY) or 0)

    @asynccontextmanager
    async def _unavailable_on_error(self) -> AsyncIterator[None]:
        try:
            async with timeout(PATIENCE_SECONDS):
                yield
        except (RedisError, OSError) as error:
            raise UnavailableError("Redis") from error


@asynccontextmanager
async def open_visits(url: SecretStr | None) -> AsyncIterator[Visits]:
    """Open the counter for the life of the app. Redis need not be there yet, or all the time."""
    if url is None:
        yield MemoryVisits()
        return
    client = Redis.from_url(
        url.get_secret_value(),
        # An increment without an answer may have been counted; a retry would count it twice.
        retry=Retry(NoBackoff(), 0),
    )
    async with client:
        yield RedisVisits(client)


def get_visits(request: Request) -> Visits:
    visits: Visits = request.state.visits
    return visits


VisitsDependency = Annotated[Visits, Depends(get_visits)]
router = APIRouter(prefix="/visits", tags=["visits"], responses=UNAVAILABLE)


@router.get("")
async def read_count(visits: VisitsDependency) -> Count:
    return Count(count=await visits.count())


@router.post("")
async def count_visit(visits: VisitsDependency) -> Count:
    return Count(count=await visits.add())
