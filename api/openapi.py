"""The OpenAPI document (3.1): what FastAPI derives, and the refusals and examples that every route has alike."""

from typing import Any

from api.deps import ACCESS, CSRF_HEADER
from api.errors import MEDIA_TYPE, TITLES

DESCRIPTION = f"""医院移动办公：公文流转与审批。

- 登录后浏览器带会话 Cookie；改变数据的请求还要带请求头 `{CSRF_HEADER}`（登录或 `GET /api/v1/me` 的 `csrf`）。
- 其他系统用服务令牌：`Authorization: Bearer pyt_…`，不需要 CSRF 令牌；
  要有操作的 `{ACCESS}` 所写的权限范围（`session` 的操作只给登录的人，`public` 的不用登录）。
- 重发同一操作时带同一个 `Idempotency-Key`，只生效一次。
- 出错时回答 `{MEDIA_TYPE}`（RFC 9457）：`code` 给程序，`detail` 给人，`errors` 列出位置。
- 时间是带时区的 ISO 8601；编号是 UUID；列表用 `next_cursor` 翻页。
"""

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457 问题说明；按 code 可能还有其他成员",
    "required": ["type", "title", "status", "detail", "code", "errors"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:piyue:problem:item_closed"]},
        "title": {"type": "string", "examples": ["状态已变化"]},
        "status": {"type": "integer", "examples": [409]},
        "detail": {"type": "string", "examples": ["已由任丽华于 03-02 10:15 同意，无需再办理"]},
        "code": {"type": "string", "examples": ["item_closed"]},
        "errors": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": True},
            "examples": [[{"place": "opinion", "message": "请填写意见"}]],
        },
    },
    "additionalProperties": True,
}
_REFUSALS = {
    401: ("not_logged_in", "请先登录"),
    403: ("not_assignee", "这一项由任丽华办理，您不能代办"),
    404: ("not_found", "没有这一项，或者您无权查看"),
    409: ("item_closed", "已由任丽华于 03-02 10:15 同意，无需再办理"),
    408: ("too_slow", "内容没有在规定时间内传完，请检查网络后重试"),
    413: ("too_large", "内容太大，最多 1 MB，请缩小后重试"),
    415: ("media_type", "请以 application/json 发送，文件以 multipart/form-data 发送"),
    422: ("opinion_required", "“不同意”需要填写意见"),
    503: ("busy", "系统繁忙，请稍后重试"),
}
_SAMPLES = {
    "uuid": "0198c0de-c0de-7000-8000-00000000c0de",
    "date-time": "2026-03-02T01:30:00Z",
    "binary": "（文件）",
    "boolean": True,
    "integer": 1,
    "number": 1.5,
    "string": "文字",
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add problem answers, security schemes and composed examples to the document, and return it."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    document["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-piyue"},
        "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "pyt_…"},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation, schemas)
    return document


def _complete(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    unsafe, access = method != "get", operation.get(ACCESS, "public")
    if access != "public":
        person: dict[str, list[str]] = {"session": [], "csrf": []} if unsafe else {"session": []}
        operation["security"] = [person] if access == "session" else [person, {"token": []}]
    statuses = (
        [503] if not path.startswith("/api/") else [401, 403, 404, 422, 503, *((408, 409, 413, 415) if unsafe else ())]
    )
    for status in sorted(statuses):
        operation["responses"][str(status)] = _refusal(status)
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in (body.get("content", {}).get("application/json") for body in bodies):
        if content and "example" not in content:
            content["example"] = example(content["schema"], schemas)


def _refusal(status: int) -> dict[str, Any]:
    code, detail = _REFUSALS[status]
    problem = {
        "type": f"urn:piyue:problem:{code}",
        "title": TITLES[status],
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [],
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": problem}}
    return {"description": TITLES[status], "content": content}


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Compose an example of a schema from the examples of its fields."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    for choice in schema.get("anyOf", ()):
        return example(choice, schemas)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        return {name: example(field, schemas) for name, field in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [example(schema["items"], schemas)]
    return _SAMPLES.get(schema.get("format", ""), _SAMPLES.get(schema.get("type", "")))
