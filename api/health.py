"""Whether the service lives (healthz), and whether it can answer (readyz): for load balancers."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import text

from api.deps import operation_id
from engine.db import Database

router = APIRouter(tags=["健康检查"], generate_unique_id_function=operation_id)


class Health(BaseModel):
    """It is well; everything else is a 503."""

    status: str = Field(examples=["ok"])


@router.get("/healthz", summary="进程活着")
async def healthz() -> Health:
    """Answer without a thread and without the database."""
    return Health(status="ok")


@router.get("/readyz", summary="数据库可用")
def readyz(request: Request) -> Health:
    """Answer once the database has."""
    database: Database = request.app.state.db
    with database.reading() as session:
        session.execute(text("SELECT 1"))
    return Health(status="ok")
