"""Store and forward: every record arrives, once, whatever the line does and for however long."""

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.card.card import Card
from reader.batch import (
    HEAD,
    Answer,
    BatchError,
    Refusal,
    build_batch,
    parse_answer,
    parse_batch,
)
from reader.journal import read_records
from reader.outbox import Outbox, OutboxError
from reader.upload import LineError, Todo, Uplink, forward, receive_all
from tests.gates import psam
from tests.taps import GATE, open_journal, trip


@pytest.fixture
def journal(card: Card, tmp_path: Path) -> Path:
    path = tmp_path / "gate.journal"
    with open_journal(path) as made:
        sam = psam()
        for _ in range(3):
            trip(card, made, sam)
    return path


@pytest.fixture
def outbox(journal: Path, tmp_path: Path) -> Outbox:
    made = Outbox(tmp_path / "outbox")
    assert made.cut(journal, GATE, most=2) == 3
    return made


class Clearing:
    """The other side: keeps what comes, once."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    def __call__(self, message: bytes) -> Answer:
        try:
            batch = parse_batch(message)
        except BatchError as error:
            return Answer(error.batch_id, error.refusal)
        if batch.batch_id in self.kept:
            return Answer(batch.batch_id, Refusal.DUPLICATE)
        self.kept[batch.batch_id] = message
        return Answer(batch.batch_id)

    def sequences(self) -> list[int]:
        return [r.sequence for m in self.kept.values() for r in parse_batch(m).records]


def test_a_batch_comes_back_as_it_was(journal: Path):
    records = list(read_records(journal))
    batch = parse_batch(build_batch(GATE, records))
    assert (batch.gate, batch.first, batch.last) == (GATE, 1, 6)
    assert batch.records == records


def test_every_truncated_batch_is_refused_whole(journal: Path):
    message = build_batch(GATE, list(read_records(journal)))
    for size in range(len(message)):
        with pytest.raises(BatchError):
            parse_batch(message[:size])
    with pytest.raises(BatchError) as refused:
        parse_batch(message + b"\0")
    assert refused.value.refusal is Refusal.END_MARK


@pytest.mark.parametrize(
    ("at", "refusal"),
    [
        (0, Refusal.START_MARK),
        (-1, Refusal.END_MARK),
        (2, Refusal.PROTOCOL_VERSION),
        (3, Refusal.DATA_VERSION),
        (4, Refusal.COMMAND),
        (6, Refusal.PACKET_SPLIT),
        (8, Refusal.PACKET_SPLIT),
        (9, Refusal.CIPHER),
        (10, Refusal.KEY_VERSION),
        (11, Refusal.CHECKSUM_KIND),
        (12, Refusal.CHECKSUM),
        (HEAD + 60, Refusal.CHECKSUM),
        (-3, Refusal.CHECKSUM),
    ],
)
def test_checks_come_in_their_order(journal: Path, at: int, refusal: Refusal):
    message = bytearray(build_batch(GATE, list(read_records(journal))))
    message[at] ^= 0x40
    with pytest.raises(BatchError) as refused:
        parse_batch(bytes(message))
    assert refused.value.refusal is refusal
    message[2:12] = b"\xff" * 10  # everything that is checked later is wrong as well
    if refusal.value <= Refusal.PROTOCOL_VERSION:
        with pytest.raises(BatchError) as again:
            parse_batch(bytes(message))
        assert again.value.refusal is refusal


def test_records_out_of_order_are_no_batch(journal: Path):
    one, two, *_ = read_records(journal)
    for records in ([two, one], [one, one], [one, replace(two, sequence=9)]):
        with pytest.raises(BatchError) as refused:
            parse_batch(build_batch(GATE, records))
        assert refused.value.refusal is Refusal.RECORDS
    with pytest.raises(ValueError, match="1 to 10000"):
        build_batch(GATE, [])


def test_an_answer_that_is_spoilt_is_none():
    good = Answer(bytes(16), Refusal.CHECKSUM).build()
    assert parse_answer(good) == Answer(bytes(16), Refusal.CHECKSUM)
    for spoilt in (b"", good[:-1], b"XX" + good[2:], good[:-1] + b"\x63", good[:-1] + b"\x00"):
        assert parse_answer(spoilt) is None


def test_a_station_sends_everything_in_order_and_then_nothing(outbox: Outbox):
    clearing, uplink = Clearing(), Uplink(outbox)
    while (step := uplink.next(0.0)).todo is Todo.SEND:
        uplink.answered(clearing(step.message).build())
    assert step.todo is Todo.DONE
    assert clearing.sequences() == [1, 2, 3, 4, 5, 6]
    assert outbox.waiting() == []
    assert outbox.last(GATE) == 6


def test_without_an_answer_it_sends_three_times_five_seconds_apart_and_hangs_up(outbox: Outbox):
    uplink = Uplink(outbox)
    first = uplink.next(100.0)
    assert (first.todo, first.until) == (Todo.SEND, 105.0)
    assert uplink.next(104.9).todo is Todo.WAIT
    assert uplink.next(105.0) == replace(first, until=110.0)
    assert uplink.next(110.0) == replace(first, until=115.0)
    assert uplink.next(114.9).todo is Todo.WAIT
    assert uplink.next(115.0).todo is Todo.HANG_UP
    # Days later, over another line, the same batch is the first to go.
    assert Uplink(outbox).next(400_000.0).message == first.message


def test_a_lost_acknowledgement_leaves_one_copy(outbox: Outbox):
    clearing, uplink = Clearing(), Uplink(outbox)
    clearing(uplink.next(0.0).message)
    again = uplink.next(5.0)
    answer = clearing(again.message)
    assert answer.refusal is Refusal.DUPLICATE
    uplink.answered(answer.build())
    assert uplink.delivered == 1
    assert clearing.sequences() == [1, 2]


def test_a_batch_the_line_spoils_is_sent_again_at_once(outbox: Outbox):
    clearing, uplink = Clearing(), Uplink(outbox)
    spoilt = bytearray(uplink.next(0.0).message)
    spoilt[200] ^= 1
    uplink.answered(clearing(bytes(spoilt)).build())
    step = uplink.next(0.1)
    assert step.todo is Todo.SEND
    uplink.answered(clearing(step.message).build())
    assert uplink.delivered == 1


def test_a_batch_refused_three_times_is_put_aside_and_the_next_goes(outbox: Outbox):
    uplink = Uplink(outbox)
    for _ in range(3):
        batch = parse_batch(uplink.next(0.0).message)
        uplink.answered(Answer(batch.batch_id, Refusal.RECORDS).build())
    assert uplink.refused == [
        f"{GATE.hex()}-0000000001-0000000002.batch: a record in it cannot be read"
    ]
    assert parse_batch(uplink.next(0.0).message).first == 3
    assert outbox.last(GATE) == 6


def test_a_batch_that_could_not_be_stored_waits_as_without_an_answer(outbox: Outbox):
    """A database that is away says nothing of the batch."""
    uplink = Uplink(outbox)
    for sends in range(3):
        step = uplink.next(5.0 * sends)
        assert step.todo is Todo.SEND
        batch = parse_batch(step.message)
        uplink.answered(Answer(batch.batch_id, Refusal.NOT_STORED).build())
        assert uplink.next(5.0 * sends + 4.9).todo is Todo.WAIT
    assert uplink.next(15.0).todo is Todo.HANG_UP
    assert (uplink.delivered, uplink.refused) == (0, [])
    later = Uplink(outbox)
    assert later.next(400_000.0).message == step.message
    later.answered(Answer(batch.batch_id).build())
    assert later.delivered == 1


def test_answers_to_other_batches_are_none(outbox: Outbox):
    uplink = Uplink(outbox)
    uplink.answered(Answer(bytes(16)).build())
    uplink.next(0.0)
    uplink.answered(Answer(bytes(16)).build())
    uplink.answered(b"")
    assert uplink.next(1.0).todo is Todo.WAIT


def test_records_are_cut_once_and_a_batch_that_was_being_written_is_made_again(
    outbox: Outbox, journal: Path
):
    assert outbox.cut(journal, GATE) == 0
    newest = outbox.waiting()[-1].path
    newest.rename(newest.with_suffix(".writing"))  # the station died before the file was whole
    again = Outbox(outbox.directory)
    assert not list(outbox.directory.glob("*.writing"))
    assert again.cut(journal, GATE, most=2) == 1
    assert again.waiting()[-1].path == newest
    assert newest.stat().st_mode & 0o777 == 0o600


def test_a_batch_the_disk_has_damaged_is_put_aside(outbox: Outbox):
    outbox.waiting()[0].path.write_bytes(b"TB")
    uplink = Uplink(outbox)
    assert parse_batch(uplink.next(0.0).message).first == 3
    assert len(uplink.refused) == 1


def test_an_outbox_that_cannot_be_is_one_sentence(tmp_path: Path, journal: Path, outbox: Outbox):
    with pytest.raises(OutboxError, match="no outbox can be kept at"):
        Outbox(journal)
    with pytest.raises(OutboxError, match="cannot be read"):
        outbox.cut(tmp_path / "nothing", GATE)
    [first, *_] = outbox.waiting()
    first.path.unlink()
    with pytest.raises(OutboxError, match="cannot be read"):
        first.message()
    with pytest.raises(OutboxError, match="cannot be put aside"):
        outbox.close(first, is_kept=True)


def test_batches_go_over_a_real_connection(outbox: Outbox):
    clearing = Clearing()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                receive_all(line, clearing)

        thread = threading.Thread(target=serve)
        thread.start()
        assert forward(Uplink(outbox), server.getsockname(), lambda: 0.0) == 3
        thread.join()
    assert clearing.sequences() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(LineError, match=r"cannot be reached .* connect again later"):
        forward(Uplink(outbox), ("127.0.0.1", server_port_of_nobody()), lambda: 0.0)


def server_port_of_nobody() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_noise_on_the_line_ends_the_connection(outbox: Outbox):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(bytes(HEAD))
        assert receive_all(theirs, Clearing()) == 0


def test_a_side_that_hangs_up_leaves_the_batches_waiting(outbox: Outbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        with pytest.raises(LineError, match="cannot be reached"):
            forward(Uplink(outbox), server.getsockname(), lambda: 0.0)
        thread.join()
    assert len(outbox.waiting()) == 3
