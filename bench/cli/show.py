"""How an exchange looks on a terminal and in JSON, the same for every command."""

from typing import Any

from bench.tracing.words import exchange_words
from reader.transport.decorators import Exchange

PEERS = {"card": "card", "psam": "PSAM"}


def exchange_lines(exchange: Exchange) -> list[str]:
    """Three lines: name, status and time; then the fields of command and answer."""
    took_ms = (exchange.end_ns - exchange.start_ns) / 1e6
    _, asked, said = exchange_words(exchange.command, exchange.response)
    if said is None:
        return [f"{exchange.to:>5}  {asked.title:<30} card lost  {took_ms:>10.3f} ms"]
    head = f"{PEERS[exchange.to]:>5}  {asked.title:<30} {said.status:<28} {took_ms:>9.3f} ms"
    lines = [head]
    if asked.lines:
        lines.append(f"       > {asked.brief()}")
    if said.lines:
        lines.append(f"       < {said.brief()}")
    return lines


def exchange_json(exchange: Exchange) -> dict[str, Any]:
    """One exchange for programs. us: microseconds it took."""
    _, asked, said = exchange_words(exchange.command, exchange.response)
    shown: dict[str, Any] = {
        "to": exchange.to,
        "name": asked.title,
        "command": exchange.command.hex().upper(),
        "request": [line._asdict() for line in asked.lines],
        "us": (exchange.end_ns - exchange.start_ns) / 1000,
    }
    if exchange.response is not None and said is not None:
        shown["response"] = exchange.response.hex().upper()
        shown["sw"] = exchange.response[-2:].hex().upper()
        shown["status"] = said.status
        shown["answer"] = [line._asdict() for line in said.lines]
    return shown
