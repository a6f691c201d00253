"""The Wireshark profile: what is written where. That tshark takes it is tested in interop."""

from pathlib import Path

import pytest

from apdu.commands import TABLE
from bench.trace_formats import TraceError
from bench.trace_formats.lua import SIGN, script, written
from bench.trace_formats.wireshark import install, personal_folder


def test_the_profile_and_the_script_go_where_wireshark_looks(tmp_path):
    assert [str(path.relative_to(tmp_path)) for path in install(tmp_path)] == [
        "plugins/tapbench.lua",
        "profiles/tapbench/preferences",
        "profiles/tapbench/decode_as_entries",
        "profiles/tapbench/colorfilters",
    ]
    assert install(tmp_path), "our own files are renewed"


def test_a_file_that_is_not_ours_stays_and_nothing_is_written(tmp_path):
    mine = tmp_path / "profiles" / "tapbench" / "colorfilters"
    mine.parent.mkdir(parents=True)
    mine.write_text("@mine@tcp@[0,0,0][0,0,0]\n")
    with pytest.raises(TraceError, match="colorfilters is there and not of our making"):
        install(tmp_path)
    assert mine.read_text().startswith("@mine")
    assert not (tmp_path / "plugins").exists()
    install(tmp_path, force=True)
    assert "purse" in (tmp_path / "plugins" / "tapbench.lua").read_text("utf-8")
    assert not mine.read_text().startswith("@mine")


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_cannot_be_is_told(tmp_path, force):
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match=r"tapbench\.lua cannot be written: Not a directory"):
        install(tmp_path / "file", force=force)


def test_the_personal_folder_is_found_as_wireshark_does(tmp_path, monkeypatch):
    monkeypatch.delenv("WIRESHARK_CONFIG_DIR", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert personal_folder() == tmp_path / ".config" / "wireshark"
    (tmp_path / ".wireshark").mkdir()
    assert personal_folder() == tmp_path / ".wireshark"
    (tmp_path / ".config" / "wireshark").mkdir(parents=True)
    assert personal_folder() == tmp_path / ".config" / "wireshark"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "xdg" / "wireshark").mkdir(parents=True)
    assert personal_folder() == tmp_path / "xdg" / "wireshark"
    monkeypatch.setenv("WIRESHARK_CONFIG_DIR", str(tmp_path / "own"))
    assert personal_folder() == Path(tmp_path / "own")


def test_the_script_names_every_command_of_the_table():
    text = script()
    assert text.startswith(SIGN)
    for spec in TABLE:
        assert f'["name"] = "{spec.name}"' in text


def test_values_are_written_as_lua():
    assert written({"a": 1, "b": None, "c": ["x", None], 3: ""}) == (
        '{\n  ["a"] = 1,\n  ["c"] = { "x", nil },\n}'
    )
    assert written('a"\\\n é') == '"a\\"\\\\\\010 é"'
    assert written([]) == "{\n}"
