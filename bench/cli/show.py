"""How an exchange looks on a terminal and in JSON, the same for every command."""

from typing import Any

from apdu.trace import explain_command, explain_exchange, explain_response
from reader.transport.decorators import Exchange

PEERS = {"card": "card", "psam": "PSAM"}


def exchange_lines(exchange: Exchange) -> list[str]:
    """Three lines: name, status and time; then the fields of command and answer."""
    took_ms = (exchange.end_ns - exchange.start_ns) / 1e6
    if exchange.response is None:
        asked = explain_command(exchange.command)
        return [f"{exchange.to:>5}  {asked.title:<30} card lost  {took_ms:>10.3f} ms"]
    asked, said = explain_exchange(exchange.command, exchange.response)
    head = f"{PEERS[exchange.to]:>5}  {asked.title:<30} {said.status:<28} {took_ms:>9.3f} ms"
    lines = [head]
    if asked.lines:
        lines.append(f"       > {asked.brief()}")
    if said.lines:
        lines.append(f"       < {said.brief()}")
    return lines


def exchange_json(exchange: Exchange) -> dict[str, Any]:
    """One exchange for programs. us: microseconds it took."""
    asked = explain_command(exchange.command)
    shown: dict[str, Any] = {
        "to": exchange.to,
        "name": asked.title,
        "command": exchange.command.hex().upper(),
        "request": [line._asdict() for line in asked.lines],
        "us": (exchange.end_ns - exchange.start_ns) / 1000,
    }
    if exchange.response is not None:
        said = explain_response(exchange.response, exchange.command)
        shown["response"] = exchange.response.hex().upper()
        shown["sw"] = exchange.response[-2:].hex().upper()
        shown["status"] = said.status
        shown["answer"] = [line._asdict() for line in said.lines]
    return shown
