"""Programs that a test has started, asked to end."""

import signal
import subprocess


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
