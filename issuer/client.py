"""The phone's side of the service: the office's operations over HTTP, with a card at this end.

Requests are sent again when no answer comes; what was done once is not done twice, because every
operation has its idempotency key and every command its turn. A card that leaves is told to the
service, and the caller gets the transport's own error: present the card again and call again with
the same key.
"""

from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Any

from issuer.accounts import Claim
from issuer.errors import RuleError
from issuer.phones import Phone
from reader.transport.base import Transport, TransportError

if TYPE_CHECKING:
    import httpx2

MOST_SENDS = 3
"""How often a request is sent before the line is given up."""

Json = dict[str, Any]


class ServiceError(Exception):
    """The service says no, or cannot be reached; the message is one sentence.

    status: of HTTP, 0 if there was no answer. reason: a word for programs. zh: the sentence in
    Chinese, "" if there is none.
    """

    def __init__(self, status: int, reason: str, en: str, zh: str = "") -> None:
        super().__init__(en)
        self.status, self.reason, self.zh = status, reason, zh


class RemoteOffice:
    """The back office at a service, for the account of a token.

    http: a client of httpx2 whose base_url is the service's; it is not closed here.
    """

    def __init__(self, http: "httpx2.Client", token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}

    def account(self) -> Json:
        """How far the account has come."""
        return self._object("GET", "/v1/account", wants="state")

    def authenticate(self, claim: Claim) -> Json:
        """Prove whose the account is (R5)."""
        token = self._object("POST", "/v1/account/identity-check", wants="token")["token"]
        told = {name: getattr(claim, name) for name in ("school", "number", "name", "document")}
        body = {"token": token, **told}
        return self._object("POST", "/v1/account/identity", body, wants="state")

    def check(self, phone: Phone) -> list[Json]:
        """What every rule says of the phone and the student."""
        found: object = self._call("POST", "/v1/eligibility", phone_json(phone))
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise _not_the_service("one of another form")
        return found

    def page(self) -> Json:
        """The page of the card."""
        return self._object("GET", "/v1/card", wants="card")

    def open_card(self, key: str, phone: Phone, link: Transport) -> Json:
        """Open a card in the phone."""
        return self._with_card("/v1/card/open", key, phone_json(phone), link)

    def give_up(self, key: str) -> None:
        """Give up an opening."""
        self._call("POST", "/v1/card/give-up", key=key)

    def top_up(self, key: str, amount: int, link: Transport) -> Json:
        """Top up the card by an amount, fen."""
        return self._with_card("/v1/card/top-up", key, {"amount": amount}, link)

    def renew(self, key: str, link: Transport) -> Json:
        """Renew the card."""
        return self._with_card("/v1/card/renew", key, None, link)

    def give_back(self, key: str, link: Transport) -> Json:
        """Return the card."""
        return self._with_card("/v1/card/return", key, None, link)

    def carry(self, key: str, link: Transport) -> Json:
        """Load a lost card's balance onto the new card."""
        return self._with_card("/v1/card/carry", key, None, link)

    def report_lost(self, key: str, serial: bytes | None = None) -> Json:
        """Report the card lost. serial: of which one, where a student may have several."""
        body = None if serial is None else {"serial": serial.hex()}
        return self._object("POST", "/v1/card/lost", body, key, wants="card")

    def refund(self, key: str) -> Json:
        """Refund a returned card."""
        return self._object("POST", "/v1/card/refund", key=key, wants="amount")

    def outlet_top_up(self, key: str, amount: int, link: Transport) -> Json:
        """Staff: top up whichever card is presented."""
        return self._with_card("/v1/outlet/top-up", key, {"amount": amount}, link)

    def outlet_refund(self, key: str, serial: bytes) -> Json:
        """Staff: refund a card in cash."""
        body = {"serial": serial.hex()}
        return self._object("POST", "/v1/outlet/refund", body, key, wants="amount")

    def take_roster(self, text: str) -> Json:
        """Staff: take a roster over, TOML or CSV."""
        return self._object("POST", "/v1/roster", text)

    def settle(self) -> Json:
        """Staff: settle lost cards whose time is over."""
        return self._object("POST", "/v1/losses/settle")

    def audit(self) -> Json:
        """Staff: examine the audit log."""
        return self._object("GET", "/v1/books/audit")

    def trial_balance(self) -> Json:
        """Staff: the ledger's balances."""
        return self._object("GET", "/v1/books/trial-balance")

    def _with_card(self, path: str, key: str, body: Json | None, link: Transport) -> Json:
        """Drive a card through a conversation. Raises what the link raises, too."""
        turn = _turn(self._object("POST", path, body, key))
        place = f"/v1/sessions/{turn['session']}"
        while turn["command"] is not None:
            number = turn["turn"]
            try:
                answer = link.transmit(bytes.fromhex(turn["command"]))
            except TransportError as lost:
                turn = _turn(self._told_of_loss(place, number, lost))
            else:
                turn = _turn(self._object("POST", place, {"turn": number, "answer": answer.hex()}))
        result: Json = turn["result"]
        return result

    def _told_of_loss(self, place: str, number: int, lost: TransportError) -> Json:
        """What comes next without the answer; the link's own error if nothing does."""
        try:
            return self._object("POST", place, {"turn": number, "answer": None})
        except ServiceError as error:
            if error.reason in ("card_left", "unreachable", "no_session"):
                raise lost from error
            raise

    def _object(
        self, method: str, path: str, body: Json | str | None = None, key: str = "", wants: str = ""
    ) -> Json:
        """An object. wants: a field that it has if it is the service that answers."""
        told: object = self._call(method, path, body, key)
        if not isinstance(told, dict) or (wants and wants not in told):
            raise _not_the_service("one of another form")
        return told

    def _call(self, method: str, path: str, body: Json | str | None = None, key: str = "") -> Any:  # noqa: ANN401 - whatever JSON may be
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        sent: dict[str, Any] = {"json": body} if isinstance(body, dict) else {}
        if isinstance(body, str):
            headers["Content-Type"] = "text/plain; charset=utf-8"
            sent = {"content": body.encode()}
        response = self._send(method, path, headers, sent)
        if response.status_code >= 400:
            raise _error(response)
        try:
            return response.json() if response.content else {}
        except ValueError:
            raise _not_the_service(f"HTTP status {response.status_code} and no JSON") from None

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], sent: Json
    ) -> "httpx2.Response":
        import httpx2

        for number in range(1, MOST_SENDS + 1):
            try:
                return self._http.request(method, path, headers=headers, **sent)
            except httpx2.TransportError as error:
                if number == MOST_SENDS:
                    raise ServiceError(
                        0,
                        "unreachable",
                        f"the service at {self._http.base_url} does not answer; is it running? "
                        "Call again with the same key.",
                        "服务无应答，请用同一幂等键重试。",
                    ) from error
        raise AssertionError("the last send returned or raised")


def phone_json(phone: Phone) -> Json:
    """A phone as the service takes it: what is not known is left out."""
    told = {name: one.value if isinstance(one, Enum) else one for name, one in _items(phone)}
    return {name: one for name, one in told.items() if one is not None or name == "medium"}


def _items(phone: Phone) -> list[tuple[str, Any]]:
    return list(asdict(phone).items())


def _error(response: "httpx2.Response") -> ServiceError | RuleError:
    try:
        told = response.json()
        rule, reason, en, zh = told.get("rule"), told["reason"], told["en"], told["zh"]
    except (ValueError, KeyError, AttributeError):
        return _not_the_service(f"HTTP status {response.status_code}")
    if rule is not None:
        return RuleError(rule, zh, en, reason)
    return ServiceError(response.status_code, reason, en, zh)


def _turn(told: Json) -> Json:
    """A turn of a conversation, if it is one."""
    try:
        is_end = told["command"] is None
        bytes.fromhex(told["command"] or "")
        is_turn = isinstance(told["session"], str) and isinstance(told["turn"], int)
    except (KeyError, TypeError, ValueError):
        is_turn = False
    if not is_turn or (is_end and not isinstance(told.get("result"), dict)):
        raise _not_the_service("one of another form")
    return told


def _not_the_service(found: str) -> ServiceError:
    return ServiceError(
        0,
        "not_the_service",
        f"expected an answer of the issuer's service, found {found}; look at the address",
    )
