"""Id documents: a keyed hash, and a key that nobody else can read."""

import hmac
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from issuer.documents import DocumentError, Documents, KeyFileError, load_key, normal
from tests.offices import KEY, document


def test_the_hash_is_hmac_sha256_of_the_one_form():
    expected = hmac.new(KEY, b"document 11010519491231002X", "sha256").hexdigest()
    for written in ("11010519491231002X", "11010519491231002x", " 110105 19491231 002x "):
        assert Documents(KEY).hash_of(written) == expected
    assert Documents(bytes(32)).hash_of("11010519491231002X") != expected
    assert KEY.hex() not in repr(Documents(KEY))


@pytest.mark.parametrize("digit", "0123456789X")
def test_one_check_digit_of_eleven_is_right(digit: str):
    number = document(1)[:17] + digit
    if number == document(1):
        assert normal(number) == number
    else:
        with pytest.raises(DocumentError, match="check digit") as refused:
            normal(number)
        assert number not in str(refused.value)


@pytest.mark.parametrize("number", ["", "E1234", "护照12345678", "A" * 21])
def test_what_is_no_document_is_refused(number: str):
    with pytest.raises(DocumentError, match="6 to 20 letters and digits"):
        normal(number)


def test_a_passport_is_a_document():
    assert normal("e12345678") == "E12345678"


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "documents.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_key(path), range(8)))
    assert len(keys) == 1
    assert keys == {load_key(path)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["documents.key"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    path = tmp_path / "documents.key"
    load_key(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match=r"mode 0640.* chmod 600"):
        load_key(path)


def test_a_key_file_that_cannot_be_used_is_one_sentence(tmp_path: Path):
    path = tmp_path / "documents.key"
    path.write_text("secret\n")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="expected 64 hexadecimal digits") as refused:
        load_key(path)
    assert "secret" not in str(refused.value)
    with pytest.raises(KeyFileError, match="no key can be kept at"):
        load_key(tmp_path / "nowhere" / "documents.key")
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_key(_folder(tmp_path))
    with pytest.raises(ValueError, match="32 bytes"):
        Documents(b"short")


def _folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir(mode=0o700)
    return made
