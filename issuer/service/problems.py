"""Errors as problem documents (RFC 9457), with the rule's number and a sentence in each language.

What a caller sent is never repeated: it may be personal.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from issuer.card_access import CardUnfit
from issuer.documents import DocumentError
from issuer.errors import DatabaseError, RuleError
from issuer.payer import PayerAway, PayerError
from issuer.relay import NoSession, RelayFull, WrongTurn
from issuer.roster_file import RosterError
from reader.session import ProtocolError, StatusError
from reader.transport.base import TransportError

MEDIA_TYPE = "application/problem+json"


class ProblemBody(BaseModel):
    """A problem document. rule: R1 to R33, if it is a rule that says no."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:tapbench:problem:too_early",
                    "title": "Conflict",
                    "status": 409,
                    "detail": "A card can be renewed from 30 July on.",
                    "rule": "R27",
                    "reason": "too_early",
                    "zh": "7月30日后可办理延期。",
                    "en": "A card can be renewed from 30 July on.",
                    "request_id": "0f9a4c1d2b3e4f50",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    reason: str
    zh: str
    en: str
    request_id: str
    rule: str | None = Field(None, description="R1 to R33")
    errors: list[dict[str, str]] | None = None


class Refused(Exception):
    """A request that goes no further. rule: R1 to R33, if it is a rule that says no."""

    rule: str | None = None

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        zh: str,
        en: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(en)
        self.status, self.reason, self.zh, self.en = status, reason, zh, en
        self.headers = dict(headers or {})


def problem(
    request_id: str,
    refused: Refused,
    rule: str | None = None,
    errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    """The response that tells a problem."""
    told: dict[str, Any] = {
        "type": f"urn:tapbench:problem:{refused.reason}",
        "title": refused.status.phrase,
        "status": int(refused.status),
        "detail": refused.en,
        "reason": refused.reason,
        "zh": refused.zh,
        "en": refused.en,
        "request_id": request_id,
    }
    rule = rule or refused.rule
    told |= {} if rule is None else {"rule": rule}
    told |= {} if errors is None else {"errors": errors}
    return JSONResponse(told, int(refused.status), refused.headers, MEDIA_TYPE)


_S = HTTPStatus

Told = Callable[[Any], Refused]

SIMPLE: dict[type[Exception], Told] = {
    Refused: lambda error: error,
    NoSession: lambda error: Refused(
        _S.NOT_FOUND,
        "no_session",
        "会话已结束，请用同一幂等键重新发起。",
        "The conversation is over; start the operation again with the same key.",
    ),
    WrongTurn: lambda error: Refused(
        _S.CONFLICT,
        "wrong_turn",
        f"应答序号不符，应为{error.wanted}。",
        f"The answer is out of turn; turn {error.wanted} is due.",
    ),
    RelayFull: lambda error: Refused(
        _S.SERVICE_UNAVAILABLE,
        "too_many_cards",
        "业务繁忙，请稍后再试。",
        "Too many cards are being served; try again later.",
        {"Retry-After": "60"},
    ),
    TransportError: lambda error: Refused(
        _S.CONFLICT,
        "card_left",
        "卡片在业务完成前离开，请重新贴卡，用同一幂等键继续。",
        "The card left before the end; present it again with the same key.",
    ),
    ProtocolError: lambda error: Refused(
        _S.CONFLICT, "card_wrong", "卡片应答有误，业务未继续。", f"The card is not right: {error}."
    ),
    StatusError: lambda error: Refused(
        _S.CONFLICT, "card_refused", "卡片拒绝了该业务。", f"The card says no: {error}."
    ),
    CardUnfit: lambda error: Refused(
        _S.CONFLICT, "card_unfit", "此卡不能办理该业务。", f"The card is not fit: {error}."
    ),
    RosterError: lambda error: Refused(
        _S.UNPROCESSABLE_ENTITY, "bad_roster", "名册有误，未导入。", f"{error}."
    ),
    DocumentError: lambda error: Refused(
        _S.UNPROCESSABLE_ENTITY, "bad_document", "证件号码有误，请核对。", f"{error}."
    ),
    PayerAway: lambda error: Refused(
        _S.SERVICE_UNAVAILABLE,
        "payer_away",
        "支付方无应答，请用同一幂等键重试。",
        "The payer gave no answer; ask again with the same key.",
        {"Retry-After": "10"},
    ),
    PayerError: lambda error: Refused(
        _S.CONFLICT, "payer_refused", "支付方拒绝了该请求。", f"The payer says no: {error}."
    ),
    DatabaseError: lambda error: Refused(
        _S.SERVICE_UNAVAILABLE,
        "database",
        "系统暂不可用，请稍后再试。",
        "The database cannot be used now; try again later.",
        {"Retry-After": "10"},
    ),
}
"""What is told of the errors of the office, by their class."""


def install(app: FastAPI) -> None:
    """Let an application tell every error as a problem document."""
    app.add_exception_handler(RuleError, _rule)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in SIMPLE:
        app.add_exception_handler(kind, _simple)


def request_id_of(request: Request) -> str:
    """The id that the request goes by."""
    name: str = getattr(request.state, "request_id", "")
    return name


async def _simple(request: Request, error: Exception) -> JSONResponse:
    kind = next(kind for kind in type(error).__mro__ if kind in SIMPLE)
    return problem(request_id_of(request), SIMPLE[kind](error))


async def _rule(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RuleError)
    refused = Refused(_S.CONFLICT, error.reason, error.zh, error.en)
    failed = [
        {"rule": one.rule, "zh": one.text.zh, "en": one.text.en}
        for one in getattr(error, "findings", ())
        if one.is_failed
    ]
    return problem(request_id_of(request), refused, error.rule, failed or None)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """A body or parameter of the wrong form: where, and what is wrong, not what was sent."""
    assert isinstance(error, RequestValidationError)
    errors = [
        {"at": ".".join(map(str, _place(one))), "what": str(one["type"])}
        for one in error.errors()[:20]
    ]
    if any(one["at"].endswith(".amount") for one in errors):
        zh, en = "金额应为整数分。", "Expected an amount in whole fen."
        refused = Refused(_S.UNPROCESSABLE_ENTITY, "bad_amount", zh, en)
        return problem(request_id_of(request), refused, "R25", errors)
    zh, en = "请求格式有误。", "The request has not the form that the OpenAPI document tells."
    refused = Refused(_S.UNPROCESSABLE_ENTITY, "bad_request", zh, en)
    return problem(request_id_of(request), refused, None, errors)


def _place(error: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Where something is wrong. The name of a field that is not declared is the caller's own."""
    place: tuple[str | int, ...] = error["loc"][:4]
    return place[:-1] if error["type"] == "extra_forbidden" else place


_HTTP = {
    400: ("请求体无法读取。", "The body cannot be read; it has to be JSON in UTF-8."),
    404: ("没有这个地址。", "There is no such address."),
    405: ("此地址不支持该方法。", "This address does not know the method."),
    413: ("请求过大。", "The body is too long."),
}


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    reason = status.phrase.lower().replace(" ", "_").replace("-", "_")
    zh, en = _HTTP.get(int(status), ("请求未能处理。", f"{status.phrase}."))
    refused = Refused(status, reason, zh, en, error.headers)
    return problem(request_id_of(request), refused)
