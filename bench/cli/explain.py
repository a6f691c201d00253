"""`tapbench explain`: bytes in words."""

import json

from apdu.trace import explain as explain_bytes
from apdu.trace import is_command
from bench.problem import Problem


def explain(texts: list[str], as_json: bool) -> None:
    """Explain each byte string; one that follows a command is its answer. Raises Problem."""
    found = []
    command: bytes | None = None
    for data in [_parse(text) for text in _joined(texts)]:
        explained = explain_bytes(data, command)
        command = data if explained.kind == "command" and is_command(data) else None
        found.append(explained)
    if as_json:
        shown = [
            {
                "kind": e.kind,
                "title": e.title,
                "status": e.status,
                "lines": [line._asdict() for line in e.lines],
            }
            for e in found
        ]
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        print("\n".join(e.text() for e in found))


def _joined(texts: list[str]) -> list[str]:
    """One byte string written with spaces, `00 A4 04 00`, arrives as many: put it together."""
    if len(texts) > 1 and all(len(text) == 2 for text in texts):
        return ["".join(texts)]
    return texts


def _parse(text: str) -> bytes:
    try:
        data = bytes.fromhex(text.replace(":", "").replace("_", ""))
    except ValueError:
        raise Problem(
            f"'{text}' is not hexadecimal; expected an even number of digits 0-9 and A-F"
        ) from None
    if not data:
        raise Problem("there is nothing to explain; give one byte string in hexadecimal or more")
    return data
