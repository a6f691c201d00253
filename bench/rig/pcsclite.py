"""The part of pcsc-lite's client protocol that lists readers, spoken without libpcsclite.

libpcsclite settles for one socket for the life of a process, so it cannot be used to look at
several services. The protocol is that of winscard_msg.h, version 4: a header of size and command,
then the body.
"""

import socket
import struct
from errno import EPROTO
from pathlib import Path

HEADER = struct.Struct("=II")
VERSION = struct.Struct("=iiI")
READER_STATE = struct.Struct("=128sIIi33s3xII")
CMD_VERSION, CMD_GET_READERS_STATE = 0x11, 0x12
MAX_READERS = 16


def ask_reader_names(path: Path, timeout_s: float) -> tuple[str, ...]:
    """The readers of the pcscd at a Unix socket.

    pcscd answers its first client only after it has opened all its readers, so the answer is also
    the sign that it is ready. Raises OSError, one kind for each thing that can be wrong.
    """
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(timeout_s)
        link.connect(str(path))
        hello = _request(link, CMD_VERSION, VERSION.pack(4, 4, 0), VERSION.size)
        major, minor, refusal = VERSION.unpack(hello)
        if refusal:
            raise OSError(EPROTO, f"it speaks protocol {major}.{minor}")
        states = _request(link, CMD_GET_READERS_STATE, b"", READER_STATE.size * MAX_READERS)
    names = (state[0].rstrip(b"\0") for state in READER_STATE.iter_unpack(states))
    return tuple(name.decode(errors="replace") for name in names if name)


def _request(link: socket.socket, command: int, body: bytes, answer_size: int) -> bytes:
    link.sendall(HEADER.pack(len(body), command) + body)
    answer = b""
    while len(answer) < answer_size:  # MSG_WAITALL does not wait on a socket with a time-out
        part = link.recv(answer_size - len(answer))
        if not part:
            raise ConnectionError("pcscd closed the connection")
        answer += part
    return answer
