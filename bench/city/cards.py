"""Cards at rest as flyweights: what a day has changed of a card as issued, packed.

A live card weighs kilobytes, and a shard has a thousand of them. Between two taps a card is some
20 bytes and 8 for each tap of the day: everything else it holds follows from its number, from the
image it was issued with and from the gates it passed. `Issue.unpack` makes the whole image again,
`pack` reads the next flyweight out of the image a tap has left behind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from struct import Struct

import fixtures
from apdu.commands import EP
from apdu.crypto import Key
from apdu.files import EF1A, EF1E, EF15, EF18, RailTrip, TripLog
from apdu.order import ROOTS
from apdu.purse import CAPP
from bench.city.lanes import Lanes
from emulator.card.personalise import card_secrets, new_image, purse_index
from emulator.card.profile import Profile
from emulator.card.state import Directory, File, Image, KeyEntry, Proof, Purse
from emulator.picc import Contactless
from reader.trips import EP_ENTRY, entered, exited

_HEAD = Struct("<LHL4s4s")
"""Balance, transaction number, PSAM's number at the last entry, MAC2, TAC."""
_PAID = Struct(">LL")
_TAP = Struct("<HLH")
"""Lane, second of the day, amount: the oldest first."""
_VALID = timedelta(days=200)

KeyAt = tuple[int, int]


class CardKeys(Mapping[KeyAt, KeyEntry]):
    """A card's keys, each diversified when somebody asks for it: a tap needs two of them."""

    __slots__ = ("_entries", "_factor", "_made", "_parents")

    def __init__(
        self, entries: Mapping[KeyAt, KeyEntry], parents: Mapping[KeyAt, Key], factor: bytes
    ) -> None:
        self._entries, self._parents, self._factor = entries, parents, factor
        self._made: dict[KeyAt, KeyEntry] = {}

    def __getitem__(self, at: KeyAt) -> KeyEntry:
        made = self._made.get(at)
        if made is None:
            made = self._made[at] = self._diversified(at)
        return made

    def get(self, at: KeyAt, default: KeyEntry | None = None) -> KeyEntry | None:  # type: ignore[override]
        """See Mapping."""
        return self[at] if at in self._entries else default

    def __iter__(self) -> Iterator[KeyAt]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _diversified(self, at: KeyAt) -> KeyEntry:
        entry, parent = self._entries[at], self._parents.get(at)
        if parent is None:  # a PIN
            return entry
        return KeyEntry(
            entry.kind,
            entry.kid,
            entry.usage,
            entry.change,
            entry.version,
            entry.algorithm,
            entry.guard,
            parent.diversify(self._factor),
            entry.pin,
        )


def profile_on(day: date) -> Profile:
    """The profile of a city's cards: a student's card, valid around that day."""
    student = fixtures.load_profile("student")
    return replace(student, start_date=day - _VALID, end_date=day + _VALID)


def serial_of(number: int) -> bytes:
    """The serial of a card of the city, 10 bytes. number: up to ten digits."""
    return bytes.fromhex(f"0310522801{number:010d}")


class Issue:
    """All cards of a day, as issued: one is personalised by commands, and the others are like it.

    They differ in serial, keys and money alone.
    """

    def __init__(self, day: date) -> None:
        profile, roots = profile_on(day), fixtures.load_roots()
        self.contactless: Contactless = profile.contactless
        self.dialect = profile.dialect
        self.image = image = new_image(profile, roots)
        self._at = purse_index(image)
        secrets = card_secrets(profile, roots)
        parents = {
            getattr(secrets, name): roots[root].diversify(profile.issuer)
            for name, root in ROOTS.items()
        }
        self._parents = [
            {at: parents[key.secret] for at, key in one.keys.items() if key.secret is not None}
            for one in image.directories
        ]
        purse = image.directories[self._at]
        self._purse = purse.purses[EP]
        self._limit = self._purse.limit.to_bytes(3)
        info = purse.files[EF15.sfi].content
        assert isinstance(info, bytes)
        self._info = info
        trips = purse.files[EF1A.sfi].content
        assert isinstance(trips, tuple)
        self._other_trips = trips[1:]

    def fresh(self, opening: int) -> bytes:
        """The flyweight of a card that has not been anywhere. opening: fen on it."""
        return _HEAD.pack(opening, 0, 0, bytes(4), bytes(4))

    def unpack(self, number: int, kept: bytes, lanes: Lanes) -> Image:
        """The whole image of a card. number: the card's."""
        image, serial = self.image, serial_of(number)
        made = [
            self._renewed(one, parents, serial[-8:])
            for one, parents in zip(image.directories, self._parents, strict=True)
        ]
        at = self._at
        made[at] = self._purse_directory(image.directories[at], made[at].keys, serial, kept, lanes)
        return Image(tuple(made), image.is_dead, image.algorithm, image.blocked_algorithms)

    @staticmethod
    def _renewed(one: Directory, parents: Mapping[KeyAt, Key], factor: bytes) -> Directory:
        """A directory with the keys of another card."""
        if not parents:
            return one
        return Directory(
            one.head,
            one.files,
            CardKeys(one.keys, parents, factor),
            one.purses,
            one.proofs,
            one.blocked,
            one.has_key_file,
            one.key_space,
            one.add_right,
            one.strikes,
            one.unblock_strikes,
        )

    def _purse_directory(
        self,
        one: Directory,
        keys: Mapping[KeyAt, KeyEntry],
        serial: bytes,
        kept: bytes,
        lanes: Lanes,
    ) -> Directory:
        balance, seq, _, mac2, tac = _HEAD.unpack_from(kept)
        old, info = self._purse, self._info
        purse = Purse(
            old.ceiling,
            balance,
            old.limit,
            old.used,
            old.online_seq,
            seq,
            old.usage,
            old.log,
        )
        files = dict(one.files)
        files[EF15.sfi] = File(files[EF15.sfi].head, info[:10] + serial + info[20:], True)
        proofs = one.proofs
        if len(kept) > _HEAD.size:
            self._relive(files, kept, lanes)
            proofs = {**proofs, CAPP: Proof(seq, mac2, tac)}
        return Directory(
            one.head,
            files,
            keys,
            {**one.purses, EP: purse},
            proofs,
            one.blocked,
            one.has_key_file,
            one.key_space,
            one.add_right,
            one.strikes,
            one.unblock_strikes,
        )

    def _relive(self, files: dict[int, File], kept: bytes, lanes: Lanes) -> None:
        """Write into the files what the gates of the day have written there."""
        balance, seq, entry_seq, _, _ = _HEAD.unpack_from(kept)
        limit, paid = self._limit, _PAID.pack
        logs, trips = [], []
        taps = list(_TAP.iter_unpack(kept[_HEAD.size :]))
        left = balance
        for number, second, amount in reversed(taps):
            lane, when = lanes[number], lanes.moment(second).both
            logs.append(seq.to_bytes(2) + limit + amount.to_bytes(4) + lane.logged + when)
            trips.append(lane.trip_head + paid(amount, left) + when + lane.trip_tail)
            left, seq = left + amount, seq - 1
        last = taps[-1]
        is_out = lanes[last[0]].is_exit
        began = taps[-2] if is_out else last
        held = balance + (last[2] if is_out else 0)
        trip = entered(lanes[began[0]].place, entry_seq, held, lanes.moment(began[1]))
        if is_out:
            trip = exited(trip, lanes[last[0]].place, last[2], lanes.moment(last[1]))
        for sfi, content in (
            (EF18.sfi, tuple(logs[: EF18.count])),
            (EF1E.sfi, tuple(trips[: EF1E.count])),
            (EF1A.sfi, (trip.build(), *self._other_trips)),
        ):
            files[sfi] = File(files[sfi].head, content, True)

    def pack(self, before: bytes, image: Image, lanes: Lanes) -> bytes:
        """The flyweight of a card after a tap. before: the one it was made of.

        Raises ValueError if the image is not one debit further.
        """
        purse = image.directories[self._at]
        money, files = purse.purses[EP], purse.files
        _, seq, entry_seq, _, _ = _HEAD.unpack_from(before)
        proof = purse.proofs.get(CAPP)
        if proof is None or money.offline_seq != seq + 1:
            raise ValueError(f"the card's number went from {seq} to {money.offline_seq}")
        newest = TripLog.parse(files[EF1E.sfi].content[0])  # type: ignore[arg-type]
        lane = lanes.number_of(newest.terminal[2:])
        if newest.trip_kind == EP_ENTRY:
            trip = RailTrip.parse(files[EF1A.sfi].content[0])  # type: ignore[arg-type]
            entry_seq = int(trip.trip_serial.hex())
        head = _HEAD.pack(money.actual, money.offline_seq, entry_seq, proof.mac2, proof.tac)
        tap = _TAP.pack(lane, _second(newest.time), newest.amount)
        return head + before[_HEAD.size :] + tap


def holding(kept: bytes) -> tuple[int, int, bytes]:
    """Fen on a card, its transaction number and its last TAC."""
    balance, seq, _, _, tac = _HEAD.unpack_from(kept)
    return balance, seq, tac


def _second(when: bytes) -> int:
    """The second of the day of YYYYMMDDhhmmss."""
    hours, minutes, seconds = (10 * (two >> 4) + (two & 15) for two in when[4:])
    return hours * 3600 + minutes * 60 + seconds


@lru_cache(maxsize=2)
def issue_of(day: date) -> Issue:
    """The cards of a day, personalised once in a process."""
    return Issue(day)
