"""A private PC/SC service with a virtual reader, beside whatever the machine has.

`PrivatePcscd` starts Debian's own pcscd with a configuration that names one reader, the vpcd
driver's, and hands it a listening Unix socket the way systemd does (file descriptor 3). Clients
find it through PCSCLITE_CSOCK_NAME. The system's pcscd, if one runs, is neither asked nor
disturbed. What that takes, as seen with pcscd 1.9.9 and vpcd 0.8:

- Started with a socket, pcscd does not mind another pcscd. But it wants /run/pcscd to exist, and
  run by root it overwrites and removes the pid file of the system's. So it never runs as root:
  root hands it to `nobody`, and an ordinary user on a machine without /run/pcscd gives it a mount
  namespace in which it exists.
- It would open USB readers that the system's pcscd needs. The name filter keeps it off all that
  are not ours.
- vpcd has two slots on two consecutive ports, hence two reader names, `NAME 00 00` and
  `NAME 00 01`. It listens on all interfaces; the driver offers no choice.
- libpcsclite reads PCSCLITE_CSOCK_NAME once per process. A child process is simply given
  `environ`; for PC/SC calls of this process `in_process` points one symbolic link, whose name
  never changes, at the service of the moment.
"""

import atexit
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from glob import glob
from pathlib import Path
from typing import Self

from bench.rig.errors import RigError
from bench.rig.pcsclite import ask_reader_names

__all__ = ["PrivatePcscd", "RigError"]

_APT = "apt install pcscd vsmartcard-vpcd"
_SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
_RUN = Path("/run/pcscd")
_SLOTS = 2
_START_TRIES = 8
_BACKLOG = 16
_READY_S = 10.0
_STOP_S = 5.0

# PCSCLITE_FILTER_IGNORE_READER_NAMES is a list of texts separated by colons.
_FILTERABLE = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) != ":")

_DRIVER_PATTERNS = (
    "/usr/lib/pcsc/drivers/serial/libifdvpcd.so",
    "/usr/lib/*/pcsc/drivers/serial/libifdvpcd.so",
    "/usr/lib64/pcsc/drivers/serial/libifdvpcd.so",
    "/usr/local/lib/pcsc/drivers/serial/libifdvpcd.so",
)

# $1 our pid, $2 pcscd, $3 configuration, $4 not empty: in a mount namespace of our own, $5 an
# option more or nothing.
# The socket comes as standard input, because dash cannot move descriptors past 9. `exec` keeps
# the pid, which LISTEN_PID has to be. If we died before the death signal was set, nobody is left
# to stop pcscd: it does not start.
_LAUNCH = """
[ "$PPID" = "$1" ] || exit 1
if [ "$4" ]; then mount -t tmpfs none /run && mkdir /run/pcscd || exit 1; fi
export LISTEN_FDS=1 LISTEN_PID=$$
exec "$2" --foreground --config "$3" $5 3<&0 </dev/null
"""


class PrivatePcscd:
    """A pcscd of our own with two virtual slots, for the length of a `with` block.

    name: what the readers are called, before ` 00 00` and ` 00 01`.
    port: of the first slot, the second is on the next one; None takes two free ones.
    Raises RigError on entry, or at once if an argument will not do.

    pcscd dies with the thread that entered the block, however that ends.
    """

    def __init__(self, name: str = "tapbench", *, port: int | None = None) -> None:
        if not 0 < len(name) <= 100 or not set(name) <= set(_FILTERABLE) - {'"'}:
            raise RigError(f"reader name {name!r} will not do; take 1 to 100 ASCII letters.")
        if port is not None and not 0 < port < 0xFFFF:
            raise RigError(f"port {port} will not do; take one of 1 to 65534.")
        self.name = name
        self.ports: tuple[int, ...] = ()
        self.reader_names: tuple[str, ...] = ()
        self._wanted_port = port
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tapbench-"))
            self._folder = Path(folder)
            stack.callback(self.stop)
            self._bring_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    @property
    def port(self) -> int:
        """Where a card is inserted into the first slot."""
        return self.ports[0]

    @property
    def pid(self) -> int:
        """The process id of pcscd."""
        assert self._process is not None
        return self._process.pid

    @property
    def socket_path(self) -> Path:
        """The Unix socket on which this pcscd serves its clients."""
        return self._folder / "pcscd.comm"

    @property
    def environ(self) -> dict[str, str]:
        """The environment that makes a child process use this pcscd."""
        return {**os.environ, _SOCKET_VARIABLE: str(self.socket_path)}

    @property
    def log(self) -> str:
        """What pcscd has said so far."""
        return (self._folder / "pcscd.log").read_text(errors="replace")

    @contextmanager
    def in_process(self) -> Iterator[Self]:
        """Make PC/SC contexts that this process opens in the block reach this pcscd.

        Works for any number of pcscds, one after another or nested, provided that the process
        opened no context before its first such block. It is the whole process that is pointed
        here, other threads included. Contexts that are open already stay where they are.
        """
        link = _process_link()
        target = link.readlink()
        variable = os.environ.get(_SOCKET_VARIABLE)
        os.environ[_SOCKET_VARIABLE] = str(link)
        _point(link, self.socket_path)
        try:
            yield self
        finally:
            _point(link, target)
            if variable is None:
                del os.environ[_SOCKET_VARIABLE]
            else:
                os.environ[_SOCKET_VARIABLE] = variable

    def stop(self) -> None:
        """End pcscd; its clients and cards notice. Leaving the block does this too."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _bring_up(self) -> None:
        for _ in range(_START_TRIES):
            port = self._wanted_port or _free_port()
            if not _is_free(port):
                raise RigError(
                    f"port {port} or {port + 1} is taken; "
                    "name another, or none to have a free one chosen."
                )
            self._start(port)
            self.reader_names = self._ask_reader_names()
            if len(self.reader_names) == _SLOTS:
                self.ports = tuple(range(port, port + _SLOTS))
                return
            self.stop()  # somebody took a port after we looked
        raise self._failure()

    def _start(self, port: int) -> None:
        config = self._folder / "reader.conf"
        config.write_text(
            f'FRIENDLYNAME "{self.name}"\n'
            f"DEVICENAME /dev/null:0x{port:X}\n"
            f"LIBPATH {find_driver()}\n"
            f"CHANNELID 0x{port:X}\n"
        )
        self.socket_path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            try:
                listening.bind(str(self.socket_path))
            except OSError as error:
                raise RigError(
                    f"no socket can be made in {self._folder} ({error}); set TMPDIR to /tmp."
                ) from error
            listening.listen(_BACKLOG)
            with (self._folder / "pcscd.log").open("wb") as log:
                # We keep no copy of the listening end: if pcscd dies, clients are told.
                self._process = subprocess.Popen(
                    _command(config),
                    stdin=listening.fileno(),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._service_environ(),
                    process_group=0,  # a terminal's Ctrl-C is for us, who still need it
                )

    def _service_environ(self) -> dict[str, str]:
        ignored = ":".join(c for c in _FILTERABLE if c not in self.name)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LISTEN_", "PCSCLITE_"))}
        return {**kept, "PCSCLITE_FILTER_IGNORE_READER_NAMES": ignored}

    def _ask_reader_names(self) -> tuple[str, ...]:
        """The readers pcscd has, as soon as it has opened them all."""
        try:
            return ask_reader_names(self.socket_path, _READY_S)
        except OSError as error:
            raise self._failure() from error

    def _failure(self) -> RigError:
        self.stop()
        # Not as root it cannot have a pid file, and says so in the end whatever else happened.
        lines = [line for line in self.log.splitlines() if line and "pcscd.pid" not in line]
        lines = lines or ["it said nothing"]
        advice = "run it by hand to see more"
        if _needs_namespace():
            advice = f"make the folder it misses once, sudo mkdir {_RUN}"
        return RigError(f"pcscd did not start ({lines[-1].strip()}); {advice}.")


def _command(config: Path) -> list[str]:
    """The command line that becomes pcscd, not as root, and dies with us."""
    service = find_tool("pcscd")
    command = [find_tool("setpriv"), "--pdeathsig=KILL"]
    if os.geteuid() == 0:
        _RUN.mkdir(mode=0o755, exist_ok=True)
        command += _hand_over(config.parent)
    namespace = ""
    if _needs_namespace():
        command = [find_tool("unshare"), "--user", "--map-root-user", "--mount", *command]
        namespace = "yes"
    launch = [str(os.getpid()), service, str(config), namespace, _without_polkit(service)]
    return [*command, "sh", "-c", _LAUNCH, "sh", *launch]


def _without_polkit(service: str) -> str:
    """The option that keeps a pcscd built with polkit from asking it about our own clients."""
    said = subprocess.run([service, "--version"], capture_output=True, text=True, check=False)
    return "--disable-polkit" if "polkit" in said.stdout else ""


def _needs_namespace() -> bool:
    return os.geteuid() != 0 and not _RUN.exists()


def _hand_over(folder: Path) -> list[str]:
    """Give the folder to `nobody`. Returns how setpriv makes pcscd the same user."""
    try:
        user = pwd.getpwnam("nobody")
        for path in (folder, *folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)
    except (KeyError, OSError):
        return []  # a container with root as its only user
    return [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def find_tool(name: str) -> str:
    """The path of a program, system folders included. Raises RigError."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        package = _APT if name == "pcscd" else "apt install util-linux"
        raise RigError(f"{name} is not installed; {package}.")
    return found


def find_driver() -> str:
    """The vpcd driver of pcscd. Raises RigError."""
    for pattern in _DRIVER_PATTERNS:
        for path in glob(pattern):
            return path
    raise RigError(f"the vpcd reader driver is not installed; {_APT}.")


def _is_free(port: int) -> bool:
    """Whether vpcd can listen on a port and the next, asked the way it will."""
    for slot_port in range(port, port + _SLOTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", slot_port))
            except OSError:
                return False
    return True


def _free_port() -> int:
    """The first of two free ports, below those the kernel gives to outgoing connections."""
    for _ in range(1000):
        port = 20000 + _SLOTS * secrets.randbelow(6000)
        if _is_free(port):
            return port
    raise RigError("no two neighbouring TCP ports are free between 20000 and 32000; free some.")


@cache
def _process_link() -> Path:
    """The name by which libpcsclite, in this process, knows the pcscd of the moment."""
    folder = Path(tempfile.mkdtemp(prefix="tapbench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / "pcscd.comm"
    link.symlink_to(os.environ.get(_SOCKET_VARIABLE, _RUN / "pcscd.comm"))
    return link


def _point(link: Path, target: Path) -> None:
    fresh = link.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
