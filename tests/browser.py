"""A headless Chromium for tests, over its DevTools pipe: JSON, each message ended by 00."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.needs import require_tool


class Browser:
    """One page. errors: whatever it has put on the console as an error, and exceptions."""

    def __init__(self, said: int, heard: int) -> None:
        self._out = os.fdopen(said, "wb", buffering=0)
        self._in = os.fdopen(heard, "rb")
        self._number = 0
        self._session: str | None = None
        self._seen: list[str] = []
        self.errors: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        self._out.close()
        self._in.close()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        raw = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "the browser is gone"
            raw += byte
        message: dict[str, Any] = json.loads(raw)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        self._seen.append(method)
        if method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.errors.append(str(params["args"]))
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:", "about:")):
                self.errors.append(f"it asked for {url}")

    def open(self, path: Path) -> None:
        """Show a file, and wait until it is loaded."""
        self._seen.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while "Page.loadEventFired" not in self._seen:
            self._next()

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        done = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def picture(self, width: int, height: int) -> bytes:
        """A PNG of the window."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])


@contextmanager
def chromium(home: Path, *options: str) -> Iterator[Browser]:
    """A browser with an empty profile. home: a folder for it."""
    program = require_tool("chromium", "chromium")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()

    def renumber() -> None:  # the protocol's pipes are descriptors 3 and 4
        kept = os.dup(theirs_in), os.dup(theirs_out)
        os.dup2(kept[0], 3)
        os.dup2(kept[1], 4)

    process = subprocess.Popen(
        [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
         "--disable-dev-shm-usage", "--lang=en-US", f"--user-data-dir={home}", *options],
        preexec_fn=renumber,
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        with closing(Browser(ours_out, ours_in)) as browser:
            yield browser
    finally:
        process.terminate()
        process.wait(20)
