"""`tapbench emulate --via nfc` and `--phone` as a user runs them."""

import json
import signal
from collections.abc import Callable

import pytest

from tests.interop.test_cli import gate_on, read_until, refused, running
from tests.interop.test_nfc_target import free_port

Passage = Callable[[str, str, str], dict[str, object]]


@pytest.fixture
def passage(here) -> Passage:
    """What a gate makes of the card on a device."""

    def run(device: str, direction: str, station: str) -> dict[str, object]:
        done = here(*gate_on(device, direction, station))
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    return run


def test_a_card_on_a_listening_reader_meets_the_gate(passage: Passage):
    device = f"udp:127.0.0.1:{free_port()}"
    with running("emulate", "--via", "nfc", "--device", device) as card:
        said = read_until(card, "Ctrl-C")
        assert f"in listen mode on {device}, UID 08A1B2C3" in said
        entry = passage(device, "entry", "Yongtaizhuang")
        assert (entry["verdict"], entry["balance_fen"]) == ("pass", 5000)
        left = passage(device, "exit", "080019")
        assert (left["verdict"], left["fare_fen"], left["balance_fen"]) == ("pass", 400, 4600)
        card.send_signal(signal.SIGINT)
        rest = card.communicate(timeout=20)[0]
        assert "DEBIT FOR PURCHASE" in rest
        assert "card removed, balance 46.00 yuan" in rest
        assert card.returncode == 0


def test_a_phone_that_works_passes(passage: Passage):
    port = str(free_port())
    with running("emulate", "--via", "udp", "--port", port, "--phone", "android-hce") as card:
        said = read_until(card, "Ctrl-C")
        assert "Android, card in an app (host card emulation). Readers find the card." in said
        assert passage(f"udp:127.0.0.1:{port}", "entry", "Yongtaizhuang")["verdict"] == "pass"


def test_a_phone_with_the_wrong_wallet_does_not(passage: Passage):
    device = f"udp:127.0.0.1:{free_port()}"
    phone = ("--phone", "xiaomi-wrong-wallet")
    with running("emulate", "--via", "nfc", "--device", device, *phone) as card:
        assert "another wallet is the default" in read_until(card, "Ctrl-C")
        assert passage(device, "entry", "Yongtaizhuang")["verdict"] == "reject"


def test_a_gate_finds_nothing_of_a_phone_whose_nfc_is_off(here):
    device = f"udp:127.0.0.1:{free_port()}"
    with running("emulate", "--via", "nfc", "--device", device, "--phone", "nfc-off") as card:
        assert "Readers find nothing: NFC is switched off." in read_until(card, "Ctrl-C")
        nobody = [*gate_on(device, "entry", "Yongtaizhuang")[:-2], "0.1"]
        refused(here(*nobody), "No card came")


def test_a_phone_with_a_random_uid_is_not_announced_by_one():
    device = f"udp:127.0.0.1:{free_port()}"
    with running("emulate", "--via", "nfc", "--device", device, "--phone", "android-hce") as card:
        said = read_until(card, "Ctrl-C")
    assert f"in listen mode on {device}, another UID for each reader" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--via", "udp", "--phone", "nokia"), "there is no phone 'nokia'; choose one of"),
        (("--via", "pcsc", "--phone", "nfc-off"), "finds nothing of the phone 'nfc-off', as NFC"),
        (("--via", "nfc", "--device", "tty:NOSUCH:pn532"), "No NFC reader answers on tty:NOSUCH"),
        (("--via", "nfc", "--device", ""), "No reader is named"),
        (("--via", "nfc", "--device", "udp:127.0.0.1:x"), "cannot be used: invalid literal"),
        (("--via", "nfc", "--port", "54321"), "--port is for --via udp and pcsc"),
        (("--via", "pn532", "--port", "0"), "--port is for --via udp and pcsc"),
        (("--via", "udp", "--system"), "--system is for --via pcsc"),
        (("--via", "udp", "--timing", "fast"), "there is no timing 'fast'; choose one of: none"),
        (("--via", "udp", "--trace", "x.foo"), "x.foo does not tell a trace format"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(here, arguments: tuple[str, ...], said: str):
    refused(here("emulate", *arguments), said)
