"""The service's HTTP application: middleware, answers to errors, every feature's routes, the OpenAPI document."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI

from api import (
    activities,
    admin,
    attachments,
    boxes,
    contacts,
    definitions,
    documents,
    errors,
    handover,
    health,
    instances,
    me,
    messages,
    metrics,
    notices,
    oa,
    openapi,
    outbox,
    people,
    processes,
    session,
    staff,
    telling,
    tokens,
    wecom,
    wecom_accounts,
    work_items,
)
from api.deps import PREFIX, identify
from api.headers import Headers
from api.limits import Limits
from engine.bpm.definitions import MAX_BYTES
from engine.db import Database
from engine.org.spreadsheet import MAX_FILE
from engine.settings import Settings

# those that are asked most come first: routes are tried in this order
_FEATURES = (
    work_items, boxes, me, instances, notices, processes, attachments, people, session, admin, outbox, definitions,
    documents, activities, staff, tokens, messages, telling, wecom, wecom_accounts, contacts, oa, handover,
    health, metrics,
)  # fmt: skip
_ENVELOPE = 1 << 16  # bytes that multipart/form-data adds to a file

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Uploads(MutableMapping[str, int]):
    """Limits in bytes of the paths that take files; `{…}` in a path stands for any one part of it, as in routes."""

    def __init__(self) -> None:
        self._limits: dict[str, tuple[re.Pattern[str], int]] = {}

    def __setitem__(self, path: str, limit: int) -> None:
        self._limits[path] = re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), limit

    def __getitem__(self, path: str) -> int:
        for pattern, limit in self._limits.values():
            if pattern.fullmatch(path):
                return limit
        raise KeyError(path)

    def __delitem__(self, path: str) -> None:
        del self._limits[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._limits)

    def __len__(self) -> int:
        return len(self._limits)


class Service(FastAPI):
    """The application; its OpenAPI document names the refusals that every route has."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi())
        return self.openapi_schema


def create_app(settings: Settings, db: Database, *, lifespan: Lifespan | None = None) -> Service:
    """Return the application on an open database; `lifespan` is what else starts and stops with it.

    `app.state.uploads` maps paths that take files to their limits in bytes; `app.state.refused` answers what no route
    is asked.
    """

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.threads
        if lifespan is None:
            yield
            return
        async with lifespan(app):
            yield

    app = Service(
        title="Piyue 批阅",
        version="1",
        summary="医院移动办公",
        description=openapi.DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=running,
    )
    app.state.settings, app.state.db, app.state.refused = settings, db, errors.http
    app.state.uploads = Uploads()
    app.state.uploads.update(
        {
            f"{PREFIX}/attachments": (settings.attachment_max_mb << 20) + _ENVELOPE,
            f"{PREFIX}/definitions": MAX_BYTES + _ENVELOPE,
            f"{PREFIX}/definitions/check": MAX_BYTES + _ENVELOPE,
            f"{PREFIX}/admin/staff/import": MAX_FILE + _ENVELOPE,
            f"{PREFIX}/admin/oa/{{site}}/accounts/import": MAX_FILE + _ENVELOPE,
        }
    )
    exempt = frozenset({"/healthz", "/readyz", "/metrics"})
    app.add_middleware(
        Limits,
        queue_limit=settings.queue_limit,
        body_seconds=settings.body_seconds,
        uploads=app.state.uploads,
        exempt=exempt,
        identify=identify,
    )
    app.add_middleware(errors.Unexpected)
    app.add_middleware(Headers)
    errors.install(app)
    for feature in _FEATURES:
        # not include_router: it looks through a tree of routers at each request, which costs more than the route itself
        app.router.routes.extend(feature.router.routes)
    return app
