"""vsmartcard's `vicc` beside our card: reading a file of 30 bytes, in process.

It is the module virtualsmartcard of Debian's python3-virtualsmartcard, and wants pycryptodome too.
Nothing else here needs either.
"""

import logging
from collections.abc import Callable

from bench.throughput.seven import READ_15

_SIZE, _SFI, _TRANSPARENT = 30, 0x15, 0x01


def vicc_read() -> Callable[[], object]:
    """A function that has a vicc answer the READ BINARY that our card is measured with.

    Raises ImportError where it, or the PyCrypto it needs, is not there.
    """
    import virtualsmartcard

    assert virtualsmartcard
    # Importing the rest, and every command, would make the whole process's log talk.
    root_log = logging.getLogger()
    level = root_log.level
    root_log.addHandler(logging.NullHandler())
    from virtualsmartcard.ConstantDefinitions import FDB
    from virtualsmartcard.SmartcardFilesystem import MF, TransparentStructureEF
    from virtualsmartcard.SmartcardSAM import SAM
    from virtualsmartcard.VirtualSmartcard import Iso7816OS

    root_log.setLevel(level)
    root = MF(FDB["NOTSHAREABLEFILE"])
    content = bytes(_SIZE)
    root.append(
        TransparentStructureEF(
            parent=root, fid=_SFI, filedescriptor=_TRANSPARENT, shortfid=_SFI, data=content
        )
    )
    card = Iso7816OS(root, SAM(b"1234", None))
    if not card.execute(READ_15).startswith(content):
        raise AssertionError("vicc does not read its file: the figure would be false")
    return lambda: card.execute(READ_15)
