"""Import of people and departments (人员导入)."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, File, Response, UploadFile
from pydantic import Field

from api.deps import Call, Router, allowed
from api.schemas import Answer
from engine.org import staff_import, staff_template
from engine.org.spreadsheet import MAX_FILE

router = Router("人员导入")

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class ReportOut(Answer):
    """What the import did, in rows of both sheets."""

    created: int = Field(examples=[3])
    updated: int = Field(examples=[12])
    unchanged: int = Field(examples=[1580])
    disabled: int = Field(examples=[2])


@router.post("/admin/staff/import", summary="导入人员和部门；全部成功或全部不导入，422 逐行列出错误")
def import_staff(
    call: Annotated[Call, Depends(allowed(None))], file: Annotated[UploadFile, File(description="人员表（xlsx）")]
) -> ReportOut:
    """Import a staff workbook."""
    file.file.seek(0)  # the request may be tried again
    found = staff_import.import_staff(call.session, call.actor, file.file.read(MAX_FILE + 1))
    return ReportOut.model_validate(found)


@router.get(
    "/admin/staff/template",
    summary="人员表的模板",
    response_class=Response,
    responses={
        200: {"description": "空的人员表", "content": {_XLSX: {"schema": {"type": "string", "format": "binary"}}}}
    },
)
def template(call: Annotated[Call, Depends(allowed(None))]) -> Response:
    """Send the empty workbook."""
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote('人员导入模板.xlsx')}"}
    return Response(staff_template.template(), media_type=_XLSX, headers=headers)
