"""Programs that a test has started, asked to end."""

import signal
import subprocess
from pathlib import Path


def end(
    process: subprocess.Popen[str], number: int = signal.SIGINT, within_s: float = 20
) -> tuple[str, str]:
    """Send a signal to a program, if it still runs, and wait. Returns the rest of what it said.

    Raises subprocess.TimeoutExpired for one that does not end, and leaves none behind.
    """
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


def children(process: int) -> list[int]:
    """The processes that a process has started and that have not ended."""
    return [
        int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]
