"""What a card must hold, told only by the bytes that passed: every command, as plain integers.

The shadow never asks the card. It believes an answer 9000 and the few refusals that cost a try, and
works out what the card must hold from then on. Whatever needed a cryptogram must have carried the
right one, by the independent implementation (`tests.vectors.independent`), and whatever needed a
right must have had it. After every exchange the card's whole image is compared with the shadow's.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from apdu import commands as c
from apdu import file_commands as f
from apdu import key_commands as k
from apdu.spec import CommandSpec
from apdu.sw import SW
from emulator.card.state import KeyKind
from tests.cards import OK
from tests.plain import PlainKey
from tests.shadow_files import PROTECTED_FILE, Said, number
from tests.shadow_purse import PurseShadow
from tests.vectors import independent as own

UNBLOCK_TRIES = 3
OPENINGS = (c.INIT_LOAD, c.INIT_UNLOAD, c.INIT_PURCHASE, c.INIT_CAPP, c.INIT_CASH, c.INIT_LIMIT)


class Shadow(PurseShadow):
    """Follows one card. commits: final commands it accepted. trips: records written with them."""

    def saw(self, command: bytes, response: bytes) -> None:
        """One exchange, whether or not the terminal heard the answer. Checks the card after it."""
        pending, self.pending = self.pending, None
        challenge, self.challenge = self.challenge, None
        spec = c.TABLE.route(bytes(command[:4]))
        if isinstance(spec, CommandSpec):
            data = (
                command[5 : 5 + command[4]] if spec.data is not None and len(command) > 5 else b""
            )
            said = Said(
                command[2], command[3], bytes(command), data, response[:-2], challenge, pending
            )
            if response[-2:] == OK:
                follow = self._TAKEN.get(spec.name)
                if follow is not None:
                    follow(self, said)
            else:
                self._refused(spec, number(response[-2:]), said)
        self.check()

    # Keys, PIN, life

    def _key(self, kind: int, kid: int) -> PlainKey:
        return self.here.keys[kind, kid]

    def _succeeded(self, key: PlainKey) -> None:
        assert self._met(key.usage)
        assert key.left
        key.restore()
        self.register = key.version & 0x0F
        if self.at == 0:
            self.mf_register = self.register
        self._changed()

    @staticmethod
    def _same_pin(key: PlainKey, pin: bytes) -> bool:
        return (key.value.rstrip(b"\xff") or b"\xff") == (pin.rstrip(b"\xff") or b"\xff")

    def _verify(self, said: Said) -> None:
        key = self._key(KeyKind.PIN, said.p2)
        assert self._same_pin(key, said.data), "a wrong PIN was taken"
        self._succeeded(key)

    def _old_and_new(self, key: PlainKey, pins: bytes) -> tuple[bytes, bytes] | None:
        """CHANGE PIN's data split at the stored PIN's length; None if there is no FF."""
        n = len(key.value.rstrip(b"\xff") or b"\xff")
        return (pins[:n], pins[n + 1 :]) if pins[n : n + 1] == b"\xff" else None

    def _change_pin(self, said: Said) -> None:
        key = self._key(KeyKind.PIN, said.p2)
        parts = self._old_and_new(key, said.data)
        assert parts is not None
        assert self._same_pin(key, parts[0]), "a PIN was changed without the old one"
        assert key.left
        self._new_pin(key, parts[1])

    def _new_pin(self, key: PlainKey, pin: bytes) -> None:
        assert 2 <= len(pin) <= 6
        key.restore()
        key.value = pin
        self._changed()

    def _reload_mac(self, said: Said) -> bool:
        i = {"key": self._key(KeyKind.PIN_RELOAD, 0).value, "pin": said.data[:-4]}
        return own.reload_pin_mac(i)["mac"] == said.data[-4:]

    def _reload(self, said: Said) -> None:
        assert self._reload_mac(said), "a PIN was reloaded without the issuer"
        self._key(KeyKind.PIN_RELOAD, 0).restore()
        self._new_pin(self._key(KeyKind.PIN, said.p2), said.data[:-4])

    def _unblock_pin(self, said: Said) -> None:
        master = self._key(KeyKind.PIN_UNBLOCK, 0)
        assert self._mac_is_right(said, master.value), "a PIN was unblocked without the issuer"
        block = own.t_inverse(master.value, said.data[:-4])
        master.restore()
        self._new_pin(self._key(KeyKind.PIN, said.p1), block[1 : 1 + block[0]])

    def _cryptogram(self, said: Said, key: PlainKey) -> bool:
        assert said.challenge is not None
        i = {"key": key.value, "challenge": said.challenge}
        return own.external_authenticate(i)["cryptogram"] == said.data

    def _authenticate(self, said: Said) -> None:
        key = self._key(KeyKind.EXTERNAL, said.p2)
        assert self._cryptogram(said, key), "a terminal without the key was accepted"
        self._succeeded(key)

    def _block(self, said: Said) -> None:
        assert self._mac_is_right(said, self._maintenance(1)), "blocked by nobody"
        self.here.blocked = "permanent" if said.p2 else "temporary"
        self._changed()

    def _unblock(self, said: Said) -> None:
        assert self._mac_is_right(said, self._maintenance(2)), "unblocked by nobody"
        assert self.here.blocked != "permanent"
        self.here.blocked = "no"
        self.here.strikes = self.here.unblock_strikes = 0
        self._changed()

    def _kill(self, said: Said) -> None:
        assert self._mac_is_right(said, self._maintenance(0)), "killed by nobody"
        self.model.is_dead = True
        self._changed()

    def _change_algorithm(self, said: Said) -> None:
        assert not self.model.blocked_algorithms >> said.p2 & 1
        self.model.algorithm = said.p2
        self._changed()

    def _block_algorithm(self, said: Said) -> None:
        assert self._mac_is_right(said, self._maintenance(0)), "an algorithm blocked by nobody"
        self.model.blocked_algorithms |= 1 << (0 if said.p2 == 1 else 3)
        self._changed()

    def _internal(self, said: Said) -> None:
        key = self._key((0x30, 0x31, 0x32)[said.p1], said.p2)
        assert self._met(key.usage), "a key was used without the right"
        make = (own.t, own.t_inverse, lambda value, data: own.retail4(value, data, bytes(8)))
        assert said.reply == make[said.p1](key.value, said.data)

    # Refusals that cost something

    def _refused(self, spec: CommandSpec[Any, Any], sw: int, said: Said) -> None:
        tries = sw & 0xFFF0 == 0x63C0
        if spec in (k.VERIFY_PIN, k.CHANGE_PIN) and tries:
            key = self._key(KeyKind.PIN, said.p2)
            if spec is k.VERIFY_PIN:
                assert not self._same_pin(key, said.data), "the right PIN was refused"
            else:
                parts = self._old_and_new(key, said.data)
                assert parts is None or not self._same_pin(key, parts[0])
            self._lose(key, sw)
        elif spec is k.EXTERNAL_AUTHENTICATE and tries:
            key = self._key(KeyKind.EXTERNAL, said.p2)
            assert not self._cryptogram(said, key), "the right cryptogram was refused"
            self._lose(key, sw)
        elif spec is k.RELOAD_PIN and sw == SW.MAC_INVALID:
            assert not self._reload_mac(said), "the right MAC was refused"
            self._lose(self._key(KeyKind.PIN_RELOAD, 0))
        elif spec is k.PIN_UNBLOCK and sw == SW.MAC_WRONG:
            self._lose(self._key(KeyKind.PIN_UNBLOCK, 0))
        elif self.here.blocked != "permanent" and sw in (SW.MAC_WRONG, SW.PERMANENTLY_BLOCKED):
            self._struck(spec, sw, said)
        elif sw == SW.BLOCKED and spec in (f.SELECT, f.SELECT_FILE) and not self.model.is_dead:
            self._entered_blocked(spec, said)

    def _lose(self, key: PlainKey, sw: int | None = None) -> None:
        left = key.lose()
        assert sw is None or sw & 0x0F == left
        self._changed()

    def _struck(self, spec: CommandSpec[Any, Any], sw: int, said: Said) -> None:
        here = self.here
        if spec is k.APPLICATION_UNBLOCK:
            assert not self._mac_is_right(said, self._maintenance(2)), "the right MAC was refused"
            here.unblock_strikes += 1
            is_last = here.unblock_strikes >= UNBLOCK_TRIES
        elif spec.name in PROTECTED_FILE:
            key = self._file_key(spec.name, said)[2]
            assert not self._mac_is_right(said, key), "the right MAC was refused"
            here.strikes += 1
            is_last = here.strikes >= 3
        else:
            assert sw == SW.MAC_WRONG
            return
        assert (sw == SW.PERMANENTLY_BLOCKED) == is_last
        if is_last:
            here.blocked = "permanent"
        self._changed()

    def _entered_blocked(self, spec: CommandSpec[Any, Any], said: Said) -> None:
        at = self._named(said.data) if spec is f.SELECT else self._by_id(number(said.data))
        if at >= 0 and self.model.directories[at].blocked != "no":
            self._enter(at)

    _TAKEN: ClassVar[dict[str, Callable[["Shadow", Said], None]]] = {
        f.SELECT.name: PurseShadow._select,
        f.SELECT_FILE.name: PurseShadow._select_file,
        f.READ_BINARY.name: PurseShadow._read_binary,
        f.READ_BINARY_MAC.name: PurseShadow._read_binary_mac,
        f.READ_RECORD.name: PurseShadow._read_record,
        f.READ_RECORD_MAC.name: PurseShadow._read_record_mac,
        f.UPDATE_BINARY.name: PurseShadow._update_binary,
        f.UPDATE_BINARY_MAC.name: PurseShadow._update_binary_mac,
        f.UPDATE_RECORD.name: PurseShadow._update_record,
        f.UPDATE_RECORD_MAC.name: PurseShadow._update_record_mac,
        f.APPEND_RECORD.name: PurseShadow._append_record,
        f.APPEND_RECORD_MAC.name: PurseShadow._append_record_mac,
        f.GET_CHALLENGE.name: PurseShadow._challenge,
        f.CREATE_FILE.name: PurseShadow._create,
        f.ERASE_DF.name: PurseShadow._erase,
        k.VERIFY_PIN.name: _verify,
        k.CHANGE_PIN.name: _change_pin,
        k.RELOAD_PIN.name: _reload,
        k.PIN_UNBLOCK.name: _unblock_pin,
        k.EXTERNAL_AUTHENTICATE.name: _authenticate,
        k.INTERNAL_AUTHENTICATE.name: _internal,
        k.APPLICATION_BLOCK.name: _block,
        k.APPLICATION_UNBLOCK.name: _unblock,
        k.CARD_BLOCK.name: _kill,
        k.CHANGE_ALGORITHM.name: _change_algorithm,
        k.BLOCK_ALGORITHM.name: _block_algorithm,
        k.WRITE_KEY.name: PurseShadow._write_key,
        k.WRITE_KEY_MAC.name: PurseShadow._write_key_mac,
        c.GET_BALANCE.name: PurseShadow._read_balance,
        c.GET_ALL_BALANCES.name: PurseShadow._read_balances,
        c.GET_PROVE.name: PurseShadow._prove,
        c.UPDATE_CACHE.name: PurseShadow._cache,
        c.CREDIT_LOAD.name: PurseShadow._credit,
        c.DEBIT_UNLOAD.name: PurseShadow._unload,
        c.UPDATE_LIMIT.name: PurseShadow._change_limit,
        c.DEBIT.name: PurseShadow._debit,
    } | dict.fromkeys((s.name for s in OPENINGS), PurseShadow._begin)
