"""The seed's 116 phones, found whole and only whole; series by interpretation; what is absent."""

import re
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.devices import (
    catalogue_with,
    load_catalogue,
    load_devices,
    load_members,
    load_remarks,
    load_seed_table,
    load_site,
)
from issuer.devices import Brand, Catalogue, Listing, Match, Member, SitePhone, key_of

pytestmark = pytest.mark.rule("R21", "R22", "R23")

DEVICES, MEMBERS = load_devices(), load_members()
SERIES = [device for device in DEVICES if device.is_series]
each_device = pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
each_member = pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)

NEAR_MISSES = (
    """
Mate 20 lite|Mate 10 lite|Mate 30 lite|Mate 30 Pro+|Mate 30E|Mate 30E Pro|Mate 40 Pro 4G
Mate 40E Pro|Mate 40E 4G|Mate 40 RS|Mate 50E Pro|Mate 9 lite|Mate 8|Mate S|Mate X3|Mate Xs 2
Mate 20 X 4G|Mate 60|Mate 60 Pro|Mate X s|M a t e 40|Mate 4 0|P50E|P50 Pocket S|P40 lite
P40 lite 5G|P40 Pro++|P30 lite|P20 lite|P9|P10 lite|P60|P 5 0|P60 Pro|P50 Pro+|nova 8 SE
nova 8i|nova 7|nova 7 Pro|nova 7 SE|nova 9 SE|nova 10 SE|nova 5|nova 5i|nova 5i Pro|nova 2
nova 2 plus|nova 2S Pro|nova 6 SE|nova 4|nova Y9a|HONOR 50 SE|HONOR 60 SE|HONOR 30S
HONOR 30 lite|荣耀 20i|荣耀 20S|荣耀 20 青春版|荣耀9X|荣耀9 青春版|荣耀8X|荣耀10 青春版
荣耀Magic 4|荣耀Magic|荣耀X30|荣耀X30i|HONOR X10|HONOR Play4|HONOR Play 4T Pro|荣耀 Play5T
荣耀V40 SE|荣耀 70|荣耀note8|Magic V|30 Pro|HONOR P40|HONOR HONOR 60|HUAWEI HUAWEI P50
HUA WEI P50|HO NOR 60|小米MIX 2|小米MIX|小米MAX 3|小米13|小米6|小米12 Lite|小米12T|小米10S
小米5|小米CC8|小米10 系|系列|Redmi K40S|Redmi K50|Redmi K30S 至尊纪念版|Redmi 10X
Redmi 10X 4G|Redmi Note 12|Redmi Note 11|Redmi 9|Redmi Note 7 Pro|Redmi Note 11 Pro+
Redmi Note 10 Pro 5G|Redmi Note 9|红米 K40|黑鲨3|黑鲨4S|黑鲨4S Pro|黑鲨|iPhone X R
iPhone X S|iPhone X S Max|iPhone SE|iPhone SE 2|iPhone 6s|iPhone 6|iPhone 15|iPhone 9|iPhone
iPhone 13 Plus|iPhone 14 mini|iPhone 1 3|iPhone XS mini|iPhone XR Max|iPhone X 系列
Apple Watch|i Phone X|iPad|P|Mate|Redmi|Pro|HUAWEI|HONOR|荣耀|小米
""".strip()
    .replace("\n", "|")
    .split("|")
)


def listed(name: str) -> Match:
    return load_catalogue().find(name)


def kinds(text: str) -> str:
    """The text with white space wherever it divides neither letters nor digits."""
    return re.sub(r"(?<=\d)(?=\D)|(?<=[a-zA-Z])(?=[^a-zA-Z])|(?<=[^\x00-\x7f])(?=.)", " ", text)


VARIANTS = {
    "as spelled": str,
    "upper": str.upper,
    "lower": str.lower,
    "without white space": lambda name: "".join(name.split()),
    "two spaces": lambda name: "  ".join(name.split()),
    "full-width space": lambda name: "\u3000".join(name.split()),
    "no-break space": lambda name: "\u00a0".join(name.split()),
    "thin space and tab": lambda name: "\u2009\t".join(name.split()),
    "white space around": lambda name: f" \u3000{name}\u00a0\n",
    "white space between kinds": kinds,
    "all of it": lambda name: f"\u3000{kinds(name.swapcase())} ",
}


# The list


def test_the_116_are_recounted_from_the_cells_of_the_seed():
    """Headings are the cells beneath 系列 and those that come before another brand's names."""
    headings = {device.category for device in DEVICES}
    category, rows = "", []
    for line, text in load_seed_table():
        if text in headings:
            category = text
        elif (
            not text.startswith("·")
            and not text.endswith("情况表")
            and text not in {"产品", "系列"}
        ):
            rows.append((line, category, text))
    assert rows == [(device.seed_line, device.category, device.name) for device in DEVICES]
    assert len(rows) == 116
    assert sum(text.endswith("系列") for _, _, text in rows) == len(SERIES) == 21


def test_the_counts_are_those_of_the_domain_facts():
    def count(attribute):
        values = [getattr(device, attribute) for device in DEVICES]
        return {value: values.count(value) for value in dict.fromkeys(values)}

    assert count("category") == {
        "华为手机Mate系列": 29,
        "华为手机P系列": 13,
        "华为手机nova系列": 12,
        "荣耀手机": 30,
        "小米手机": 23,
        "苹果": 9,
    }
    assert count("brand") == {
        Brand.HUAWEI: 54,
        Brand.HONOR: 30,
        Brand.XIAOMI: 23,
        Brand.APPLE: 9,
    }
    assert count("group")["Redmi"] == 9
    assert count("group")["Black Shark"] == 2


def test_a_row_is_a_series_exactly_if_it_says_so():
    assert all(device.is_series == device.name.endswith("系列") for device in DEVICES)


def test_the_keys_in_the_file_are_those_of_the_rule_and_all_distinct():
    import json
    from importlib.resources import files

    rows = json.loads((files("fixtures.devices") / "seed.json").read_text("utf-8"))
    assert [row["key"] for row in rows] == [key_of(device.name) for device in DEVICES]
    assert len({row["key"] for row in rows}) == 116


# A1 to A10


@each_device
def test_every_listed_name_is_found_however_it_is_written(device):
    for way, write in VARIANTS.items():
        found = listed(write(device.name))
        assert (found.listing, found.device) == (Listing.LISTED, device), way
        assert not found.is_interpretation
        assert found.seed_line == device.seed_line


def test_there_are_enough_near_misses():
    assert len(set(NEAR_MISSES)) >= 60


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_no_near_miss_is_found(name):
    for way in ("as spelled", "upper", "lower", "two spaces", "full-width space", "no-break space"):
        found = listed(VARIANTS[way](name))
        assert (found.listing, found.seed_line) == (Listing.UNLISTED, None), way
        assert not found.is_listed


@pytest.mark.parametrize("nothing", ["", " ", "\u3000"])
def test_no_name_finds_nothing(nothing):
    assert listed(nothing).listing is Listing.UNLISTED


def test_a1_the_beginning_of_a_name_finds_nothing():
    keys = [key_of(device.name) for device in DEVICES]
    pairs = [(a, b) for a, b in permutations(keys, 2) if b.startswith(a)]
    assert len(pairs) == 51
    for shorter, longer in pairs:
        assert listed(shorter).seed_line != listed(longer).seed_line


@each_device
def test_a1_a_name_with_more_behind_it_is_not_that_name(device):
    for more in ("lite", " lite", "x", " 9", "版"):
        found = listed(device.name + more)
        assert found.device != device or found.is_interpretation


def test_a2_noise_of_spelling_is_dropped_by_the_key():
    same = (
        ("Mate40 Pro", "Mate 40 Pro"),
        ("P30 pro", "P30 Pro"),
        ("Nova 6", "nova 6"),
        ("HUAWEI Nova 10", "nova 10"),
        ("荣耀V30 PRO", "HONOR V30 Pro"),
        ("HONOR 60", "荣耀60"),
        ("小米12 S系列", "小米12S 系列"),
        ("HUAWEI Mate 50 RS\u00a0保时捷设计", "mate50rs保时捷设计"),
        ("HUAWEI HONOR 60", "荣耀60"),
    )
    assert all(key_of(one) == key_of(other) for one, other in same)
    assert "\u00a0" in DEVICES[1].name, "line 67 has a no-break space"
    assert key_of("荣耀 HUAWEI 9") == "荣耀huawei9", "only in front"


def test_a3_mate_50_e_is_mate_50e():
    assert listed("Mate 50E").seed_line == listed("HUAWEI Mate 50 E").seed_line == 64


@pytest.mark.parametrize(
    ("whole", "cut"),
    [
        ("iPhone XR", "iPhone X R"),
        ("Mate Xs", "Mate X s"),
        ("Mate 40", "Mate 4 0"),
        ("P50", "P5 0"),
    ],
)
def test_white_space_may_not_cut_a_word_of_a_listed_name(whole, cut):
    assert key_of(whole) == key_of(cut)
    assert listed(whole).is_listed
    assert not listed(cut).is_listed


@given(st.sampled_from(DEVICES), st.data())
def test_one_more_white_space_keeps_the_name_unless_it_cuts_a_word(device, data):
    at = data.draw(st.integers(1, len(device.name) - 1))
    before, after = device.name[at - 1], device.name[at]
    both_letters = (before + after).isascii() and (before + after).isalpha()
    cuts = both_letters or (before + after).isdigit()
    found = listed(f"{device.name[:at]} {device.name[at:]}")
    assert found.device == (None if cuts else device)


@each_member
def test_a4_members_of_a_series_are_found_as_an_interpretation(member):
    found = listed(member.name)
    assert found.listing is Listing.BY_SERIES
    assert found.is_interpretation
    assert found.device in SERIES
    assert found.seed_line == member.seed_line
    assert member.grade in {"SEED", "V-A", "V-B", "V-C", "ASSUMED", "D"}


def test_a4_every_series_has_members_and_no_member_is_a_row_of_the_seed():
    assert {member.seed_line for member in MEMBERS} == {device.seed_line for device in SERIES}
    assert not {key_of(m.name) for m in MEMBERS} & {key_of(device.name) for device in DEVICES}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        *((name, 333) for name in ("小米12", "小米12 Pro", "小米12X")),
        *((f"iPhone 13{more}", 404) for more in ("", " mini", " Pro", " Pro Max")),
        ("iPhone XS Max", 413),
        ("小米 12 x", 333),
        ("redmik40pro+", 360),
    ],
)
def test_a4_the_obvious_members_are_there(name, line):
    assert (listed(name).listing, listed(name).seed_line) == (Listing.BY_SERIES, line)


def test_a4_members_without_nfc_hardware_say_so():
    doubtful = {member.name for member in MEMBERS if member.has_nfc is False}
    assert {"小米8 SE", "小米CC9e"} <= doubtful
    assert all(member.note for member in MEMBERS if member.has_nfc is False)


def test_a5_the_12_and_the_12_s_are_two_series():
    assert (listed("小米12").seed_line, listed("小米12S").seed_line) == (333, 336)


def test_a6_honor_is_in_huaweis_table_and_xiaomi_is_not():
    catalogue = load_catalogue()
    assert catalogue.find("HONOR 60", Brand.HUAWEI).is_listed
    assert catalogue.find("P50", Brand.HONOR).is_listed
    assert not catalogue.find("P50", Brand.XIAOMI).is_listed
    assert not catalogue.find("iPhone X", Brand.OTHER).is_listed


@pytest.mark.parametrize("name", ["iPhone SE", "iPhone 6s", "Apple Watch"])
def test_a7_apples_other_devices_are_unlisted_with_a_hint(name):
    found = listed(name)
    assert found.listing is Listing.UNLISTED
    assert found.remark
    assert "general Beijing card" in found.remark.en


def test_a8_later_phones_are_unlisted_and_a_site_may_add_them():
    assert listed("Mate 60").listing is Listing.UNLISTED
    assert load_site() == ()
    ours = SitePhone("HUAWEI Mate 60", Brand.HUAWEI, "notice of 2024")
    found = catalogue_with([ours]).find("mate60", Brand.HUAWEI)
    assert (found.listing, found.site, found.seed_line) == (Listing.BY_SITE, ours, None)
    assert found.is_listed


def test_a8_nothing_is_ever_called_unsupported():
    assert {listing.value for listing in Listing} == {
        "listed",
        "listed_by_series",
        "listed_by_site",
        "unlisted",
    }


def test_a9_the_heading_above_a_row_is_kept():
    assert listed("nova 9").device.category == "华为手机nova系列"


# The catalogue itself


def test_remarks_concern_phones_that_are_unlisted():
    for remark in load_remarks():
        assert listed(remark.name) == Match(Listing.UNLISTED, remark=remark)


def test_a_name_that_is_there_already_is_refused():
    with pytest.raises(ValueError, match="another entry has the key 'iphonexr'"):
        catalogue_with([SitePhone("iPhone X R", Brand.APPLE, "ours")])


@pytest.mark.parametrize("line", [64, 1])
def test_a_member_needs_a_row_that_is_a_series(line):
    with pytest.raises(ValueError, match=f"line {line} is no series"):
        Catalogue(DEVICES, [Member("Mate 50 E Pro", line, None, "D", "")])


@given(st.text())
def test_any_text_is_found_or_not(name):
    assert listed(name).is_listed == (listed(name).listing is not Listing.UNLISTED)
