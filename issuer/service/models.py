"""What callers send and get, with examples. Money is fen, bytes are hexadecimal, days are ISO."""

from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from issuer.devices import Brand
from issuer.finding import Finding
from issuer.phones import Channel, Medium, Phone, System
from issuer.relay import Turn
from issuer.telling import said

Json = dict[str, Any]

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,64}$",
        description="The client's own name of this wish: the same again for the same wish.",
        examples=["topup-2026-03-01-a1"],
    ),
]

_Short = Annotated[str, Field(max_length=100)]
_ANSWER = r"^([0-9A-Fa-f]{2}){2,258}$"


class Body(BaseModel):
    """A body: nothing in it that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _example(**told: Any) -> ConfigDict:  # noqa: ANN401 - whatever JSON may be
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [told]})


class Claim(Body):
    """Who somebody says to be. token: of the identity check."""

    model_config = _example(
        token="from /v1/account/identity-check",  # noqa: S106 - an example
        school="UCAS",
        number="2025K00000",
        name="王小明",
        document="000000200001000008",
    )

    token: _Short
    school: str = Field(max_length=16)
    number: str = Field(max_length=32)
    name: _Short
    document: str = Field(max_length=30)


class PhoneBody(Body):
    """A phone as it is: see `issuer.phones.Phone`. What is left out is not known."""

    model_config = _example(
        brand="Huawei",
        system="HarmonyOS",
        model="HUAWEI Mate 50",
        app="6.0.0.1",
        huawei_wallet="9.0.13.304",
        is_nfc_on=True,
        is_wallet_logged_in=True,
        is_app_logged_in=True,
    )

    brand: Brand
    system: System
    model: _Short | None = None
    medium: Medium | None = Medium.NFC
    system_version: _Short | None = None
    channel: Channel | None = None
    app: _Short | None = None
    huawei_wallet: _Short | None = None
    smart_card: _Short | None = None
    is_wallet_latest: bool | None = None
    has_nfc: bool | None = None
    is_nfc_on: bool | None = None
    default_wallet: _Short | None = None
    is_wallet_logged_in: bool | None = None
    is_app_logged_in: bool | None = None

    def phone(self) -> Phone:
        """The phone."""
        return Phone(**dict(self))


class Amount(Body):
    """An amount, fen. What may be topped up is R25's business."""

    model_config = _example(amount=5000)

    amount: StrictInt = Field(ge=-(2**31), lt=2**31)


class CardAnswer(Body):
    """The card's answer to the command of a turn; none at all if the card has gone."""

    model_config = _example(turn=1, answer="9000")

    turn: StrictInt = Field(ge=1, lt=2**31)
    answer: str | None = Field(None, pattern=_ANSWER)

    def response(self) -> bytes | None:
        """The answer's bytes."""
        return None if self.answer is None else bytes.fromhex(self.answer)


class Serial(Body):
    """A card by its serial, 20 digits."""

    model_config = _example(serial="03105228010000000001")

    serial: str = Field(pattern="^[0-9]{20}$")


class Whom(Body):
    """A student by school and number, as on the roster."""

    model_config = _example(school="UCAS", number="2025K00000")

    school: str = Field(max_length=16)
    number: str = Field(max_length=32)


class Conversation(BaseModel):
    """A turn: a command for the card, or the end with the result."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"session": "5Yd0", "turn": 1, "command": "00A4040009", "result": None},
                {"session": "5Yd0", "turn": 9, "command": None, "result": {"balance": 5000}},
            ]
        }
    )

    session: str
    turn: int
    command: str | None
    result: Json | None

    @classmethod
    def of(cls, turn: Turn) -> "Conversation":
        """The turn for the phone."""
        command = None if turn.command is None else turn.command.hex().upper()
        return cls(session=turn.session, turn=turn.number, command=command, result=turn.result)


class Said(BaseModel):
    """A finding on a rule. status: ok, failed, unknown or not_applicable."""

    rule: str
    status: str
    seed_line: int
    zh: str
    en: str

    @classmethod
    def of(cls, finding: Finding) -> "Said":
        """The finding for the phone."""
        return cls(**said(finding))


class AccountBody(BaseModel):
    """An account: logged_in, authenticated or openable."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "authenticated"}]})

    state: str


class CheckBody(BaseModel):
    """The token of an identity check, good for one try within 10 minutes."""

    token: str
