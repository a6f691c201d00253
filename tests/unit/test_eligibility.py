"""A finding for each rule R2 to R24, all failures at once, and nothing guessed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.devices import catalogue_with, load_catalogue
from issuer.applicant import CATEGORIES
from issuer.devices import SitePhone
from issuer.eligibility import (
    Applicant,
    Brand,
    Channel,
    Identity,
    Medium,
    Phone,
    Status,
    System,
    check,
    failures,
    may_open,
)
from issuer.policy import IssuerPolicy
from issuer.rules_table import seed_rule

OK, FAILED, UNKNOWN, OUT = Status.OK, Status.FAILED, Status.UNKNOWN, Status.NOT_APPLICABLE
RULES = [f"R{number}" for number in range(2, 25)]
SCHOOL = "中国科学院大学"
PARTNERS = {SCHOOL}

STUDENT = Applicant(
    school=SCHOOL,
    category="博士",
    status="正式学籍",
    has_wage_income=False,
    identity=Identity.AUTHENTICATED,
    usable_cards=0,
    person="s-1",
    account_owner="s-1",
    roster_person="s-1",
    is_in_app=True,
)
HUAWEI = Phone(
    Brand.HUAWEI,
    System.HARMONYOS,
    "HUAWEI P50 Pro",
    app="6.0.0.1",
    huawei_wallet="9.0.13.304",
    is_wallet_latest=True,
    is_nfc_on=True,
    is_wallet_logged_in=True,
    is_app_logged_in=True,
)
HONOR = replace(HUAWEI, brand=Brand.HONOR, system=System.ANDROID, model="HONOR 60")
XIAOMI = Phone(
    Brand.XIAOMI,
    System.ANDROID,
    "小米MIX 4",
    channel=Channel.STABLE,
    system_version="V12.5.6.0",
    app="6.0.0.1",
    smart_card="21.08.09.1",
    is_wallet_latest=True,
    is_nfc_on=True,
    default_wallet="小米钱包",
)
DEV = replace(XIAOMI, channel=Channel.DEV, system_version="21.7.27", smart_card=None)
IPHONE = Phone(Brand.APPLE, System.IOS, "iPhone XR", system_version="13.4", app="6.0.0.1")
SIM = Phone(Brand.OTHER, System.OTHER, medium=Medium.SUPER_SIM)
GOOD = {
    "Huawei": HUAWEI,
    "Honor": HONOR,
    "Xiaomi stable": XIAOMI,
    "Xiaomi developer": DEV,
    "iPhone": IPHONE,
    "Super-SIM": SIM,
}


def findings(phone=HUAWEI, applicant=STUDENT, **knobs):
    return check(
        phone,
        applicant,
        catalogue=load_catalogue(),
        partners=PARTNERS,
        policy=IssuerPolicy(**knobs),
    )


def on_phone(rule, phone, **knobs):
    return next(f for f in findings(phone, **knobs) if f.rule == rule)


def on_student(rule, *, policy=None, **changes):
    found = findings(applicant=replace(STUDENT, **changes), **(policy or {}))
    return next(f for f in found if f.rule == rule)


def broken(found) -> list[str]:
    return [finding.rule for finding in failures(found)]


# The whole


@pytest.mark.parametrize("phone", GOOD.values(), ids=GOOD)
def test_a_good_phone_and_a_good_student_have_no_failure(phone):
    found = findings(phone)
    assert [f.rule for f in found] == RULES
    assert {f.status for f in found} <= {OK, OUT}
    assert may_open(found)


@pytest.mark.parametrize(
    ("phone", "applied"),
    [
        (HUAWEI, {8, 10, 11, 12, 13, 19, 21}),
        (HONOR, {8, 10, 11, 12, 13, 19, 21}),
        (XIAOMI, {8, 10, 14, 16, 17, 19, 22}),
        (DEV, {8, 10, 15, 16, 17, 19, 22}),
        (IPHONE, {9, 18, 19, 23}),
        (SIM, set()),
    ],
    ids=GOOD,
)
def test_each_kind_of_phone_has_its_own_rules(phone, applied):
    found = findings(phone)
    phones = {int(f.rule[1:]) for f in found if f.status is not OUT} - {2, 3, 4, 5, 6, 7, 24}
    assert phones == applied


@pytest.mark.parametrize("phone", GOOD.values(), ids=GOOD)
def test_every_finding_says_what_in_two_languages_and_where_in_the_seed(phone):
    for f in (*findings(phone), *findings(Phone(phone.brand, phone.system), Applicant())):
        assert f.seed_line == seed_rule(f.rule).lines[0][0]
        assert f.text.zh.endswith("。")
        assert f.text.en.endswith(".")
        assert "{" not in f.text.zh + f.text.en
        assert f.found.zh
        assert f.found.en.isascii() or f.rule in {"R3", "R4", "R15", "R19", "R21", "R22", "R23"}
        assert bool(f.needed.zh) == (f.status is not OUT)


def test_a_finding_reads_as_a_sentence():
    f = on_phone("R11", replace(HUAWEI, huawei_wallet="9.0.13.303"))
    assert f.text.en == (
        "Failed: version of Huawei Wallet; found: 9.0.13.303; needed: 9.0.13.304 or later."
    )
    assert f.text.zh == "不符合：华为钱包版本，现为：9.0.13.303，需要：9.0.13.304及以上。"
    assert f.seed_line == 13


def test_nothing_known_is_unknown_and_never_failed():
    for brand, system in ((Brand.HUAWEI, System.ANDROID), (Brand.XIAOMI, System.ANDROID)):
        found = findings(Phone(brand, system), Applicant())
        assert broken(found) == []
        assert {f.status for f in found} == {OK, UNKNOWN, OUT}
        assert not may_open(found), "the back office must know its student"


def test_all_failures_are_reported_and_not_the_first():
    bad = Phone(
        Brand.HUAWEI,
        System.ANDROID,
        "HUAWEI Mate 20 lite",
        medium=Medium.HCE,
        app="5.9.9.9",
        huawei_wallet="9.0.13",
        is_wallet_latest=False,
        is_nfc_on=False,
        is_wallet_logged_in=False,
        is_app_logged_in=True,
    )
    stranger = Applicant(
        school="某某大学",
        category="小学",
        status="在职",
        has_wage_income=True,
        identity=Identity.LOGGED_IN,
        usable_cards=1,
        person="s-1",
        account_owner="s-2",
        roster_person="s-1",
        is_in_app=False,
    )
    rules = ["R2", "R3", "R4", "R5", "R6", "R7", "R8", "R11", "R12", "R13", "R19", "R21", "R24"]
    assert broken(findings(bad, stranger)) == rules


@given(
    st.sampled_from(list(GOOD.values())),
    st.sampled_from(["app", "model", "huawei_wallet", "smart_card", "system_version"]),
    st.text(max_size=12),
)
def test_any_text_from_a_phone_gives_a_finding_for_every_rule(phone, field, text):
    assert [f.rule for f in findings(replace(phone, **{field: text}))] == RULES


# The student


@pytest.mark.rule("R2")
def test_the_kinds_of_students_are_a_closed_list():
    assert all(on_student("R2", category=kind).status is OK for kind in CATEGORIES)
    for other in ("小学", "中学", "交换生", "访问学者", "旁听生", "本科生活"):
        assert on_student("R2", category=other).status is FAILED
    assert on_student("R2", category=None).status is UNKNOWN


@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    ("status", "earns", "expected"),
    [
        ("正式学籍", False, OK),
        ("正式学籍", True, FAILED),
        ("在职", False, FAILED),
        ("休学", False, FAILED),
        ("毕业", None, FAILED),
        (None, True, FAILED),
        ("正式学籍", None, UNKNOWN),
        (None, False, UNKNOWN),
        (None, None, UNKNOWN),
    ],
)
def test_formal_status_without_wage_income(status, earns, expected):
    assert on_student("R3", status=status, has_wage_income=earns).status is expected


@pytest.mark.rule("R4")
def test_the_school_cooperates():
    assert on_student("R4", school="某某大学").status is FAILED
    assert on_student("R4", school=None).status is UNKNOWN


@pytest.mark.rule("R5")
@pytest.mark.parametrize("state", [*Identity, None])
def test_identity_is_proven_and_the_proof_is_fresh(state):
    expected = {Identity.AUTHENTICATED: OK, None: UNKNOWN}.get(state, FAILED)
    assert on_student("R5", identity=state).status is expected


@pytest.mark.rule("R6")
@pytest.mark.parametrize(
    ("cards", "limit", "expected"),
    [(0, 1, OK), (1, 1, FAILED), (2, 1, FAILED), (1, 2, OK), (2, 2, FAILED), (None, 1, UNKNOWN)],
)
def test_one_usable_card_or_as_many_as_the_knob_says(cards, limit, expected):
    f = on_student("R6", usable_cards=cards, policy={"student_card_limit": limit})
    assert f.status is expected


@pytest.mark.rule("R24")
@pytest.mark.parametrize(
    ("asks", "owns", "roster", "expected"),
    [
        ("a", "a", "a", OK),
        ("a", "b", "a", FAILED),
        ("a", "a", "b", FAILED),
        ("b", "a", "a", FAILED),
        ("a", None, "b", FAILED),
        (None, "a", "b", FAILED),
        ("a", None, "a", UNKNOWN),
        (None, "a", "a", UNKNOWN),
        (None, None, None, UNKNOWN),
    ],
)
def test_a_student_opens_his_or_her_own_card(asks, owns, roster, expected):
    f = on_student("R24", person=asks, account_owner=owns, roster_person=roster)
    assert f.status is expected


def test_no_finding_shows_whose_mark_it_was():
    secret = replace(STUDENT, person="mark-1", account_owner="mark-2", roster_person="mark-3")
    assert not any("mark-" in f.text.zh + f.text.en for f in findings(applicant=secret))


@pytest.mark.rule("R19")
def test_a_card_is_asked_for_in_the_app_where_an_iphone_has_one_menu_more():
    assert on_student("R19", is_in_app=False).status is FAILED
    assert on_student("R19", is_in_app=None).status is UNKNOWN
    assert "首页-高校服务-电子卡服务" in on_phone("R19", IPHONE).text.zh
    assert "电子卡服务" not in on_phone("R19", HUAWEI).text.zh


# The phone


@pytest.mark.rule("R7")
def test_the_carrier_is_nfc_or_a_super_sim():
    assert on_phone("R7", replace(HUAWEI, medium=Medium.HCE)).status is FAILED
    assert on_phone("R7", replace(HUAWEI, medium=None)).status is UNKNOWN
    assert on_phone("R7", replace(HUAWEI, has_nfc=False)).status is FAILED
    assert on_phone("R7", SIM).status is OK
    assert on_phone("R7", SIM, super_sim="refuse").status is FAILED


@pytest.mark.rule("R7")
def test_a_listed_phone_without_nfc_hardware_is_found_out_by_itself():
    mi8se = replace(XIAOMI, model="小米8 SE")
    assert on_phone("R22", mi8se).status is OK
    assert on_phone("R7", mi8se).status is UNKNOWN
    assert on_phone("R7", replace(mi8se, has_nfc=True)).status is OK
    assert on_phone("R7", replace(mi8se, has_nfc=False)).status is FAILED


@pytest.mark.rule("R7")
@pytest.mark.parametrize("phone", [HUAWEI, XIAOMI, DEV, IPHONE])
def test_the_rules_for_phones_do_not_apply_to_a_super_sim(phone):
    bad = replace(phone, medium=Medium.SUPER_SIM, app="1", is_nfc_on=False, model="Mate 1")
    found = findings(bad)
    assert {f.rule for f in found if f.status is OUT} == {f"R{number}" for number in range(8, 24)}
    assert may_open(found)


@pytest.mark.rule("R8", "R9")
@pytest.mark.parametrize(("rule", "phone"), [("R8", HUAWEI), ("R8", XIAOMI), ("R9", IPHONE)])
def test_the_app_has_its_least_version(rule, phone):
    for app, expected in (
        ("5.9.9.9", FAILED),
        ("6.0.0.0", FAILED),
        ("6.0", FAILED),
        ("6.0.0.1", OK),
        ("6.0.0.10", OK),
        ("6.0.1", OK),
        ("10.0", OK),
        ("", FAILED),
        (None, UNKNOWN),
        ("newest", UNKNOWN),
    ):
        assert on_phone(rule, replace(phone, app=app)).status is expected


@pytest.mark.rule("R10")
@pytest.mark.parametrize(("latest", "expected"), [(True, OK), (False, UNKNOWN), (None, UNKNOWN)])
def test_an_old_wallet_is_a_warning_and_never_a_failure(latest, expected):
    assert on_phone("R10", replace(HUAWEI, is_wallet_latest=latest)).status is expected


@pytest.mark.rule("R11")
@pytest.mark.parametrize(
    ("wallet", "expected"),
    [
        ("9.0.13.303", FAILED),
        ("9.0.13.304", OK),
        ("9.0.9.999", FAILED),
        ("9.0.13", FAILED),
        ("10.0", OK),
        ("", FAILED),
        (None, UNKNOWN),
    ],
)
def test_huawei_wallet_has_its_least_version(wallet, expected):
    assert on_phone("R11", replace(HUAWEI, huawei_wallet=wallet)).status is expected


@pytest.mark.rule("R11", "R13")
@pytest.mark.parametrize("wallet", ["", None])
def test_a6_an_honor_phone_without_huawei_wallet_is_unknown(wallet):
    phone = replace(HONOR, huawei_wallet=wallet)
    assert on_phone("R11", phone).status is UNKNOWN
    assert on_phone("R13", phone).status is UNKNOWN
    assert on_phone("R13", replace(phone, is_wallet_logged_in=False)).status is UNKNOWN
    assert on_phone("R13", replace(phone, is_app_logged_in=False)).status is FAILED
    assert on_phone("R21", phone).status is OK


@pytest.mark.rule("R11")
def test_a6_an_honor_phone_with_huawei_wallet_has_its_rule():
    assert on_phone("R11", replace(HONOR, huawei_wallet="9.0.13.303")).status is FAILED


@pytest.mark.rule("R12", "R16")
@pytest.mark.parametrize(("rule", "phone"), [("R12", HUAWEI), ("R16", XIAOMI)])
@pytest.mark.parametrize(("is_on", "expected"), [(True, OK), (False, FAILED), (None, UNKNOWN)])
def test_nfc_is_switched_on(rule, phone, is_on, expected):
    assert on_phone(rule, replace(phone, is_nfc_on=is_on)).status is expected


@pytest.mark.rule("R13")
@pytest.mark.parametrize(
    ("wallet", "app", "expected"),
    [
        (True, True, OK),
        (False, True, FAILED),
        (True, False, FAILED),
        (False, None, FAILED),
        (None, True, UNKNOWN),
        (None, None, UNKNOWN),
    ],
)
def test_wallet_and_app_are_both_logged_in(wallet, app, expected):
    phone = replace(HUAWEI, is_wallet_logged_in=wallet, is_app_logged_in=app)
    assert on_phone("R13", phone).status is expected


@pytest.mark.rule("R14")
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("21.08.09.1", OK),
        ("21.8.9.1", OK),
        ("21.8.9", FAILED),
        ("21.08.10", OK),
        ("", FAILED),
        (None, UNKNOWN),
    ],
)
def test_the_smart_card_app_on_stable_builds(version, expected):
    assert on_phone("R14", replace(XIAOMI, smart_card=version)).status is expected
    hyper = replace(XIAOMI, smart_card=version, system=System.HYPEROS, system_version="1.0.3.0")
    assert on_phone("R14", hyper).status is expected


@pytest.mark.rule("R15")
@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ("21.7.3", FAILED),
        ("21.7.26", FAILED),
        ("21.7.27", OK),
        ("21.11.1", OK),
        ("9.12.5", FAILED),
        ("V12.5.6.0", UNKNOWN),
        ("12.5.6", UNKNOWN),
        ("OS1.0.3.0", UNKNOWN),
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_developer_builds_compare_with_builds_alone(build, expected):
    assert on_phone("R15", replace(DEV, system_version=build)).status is expected


@pytest.mark.rule("R15")
@pytest.mark.parametrize("version", ["1.0.3.0", "1.1.1", "2.0.1", "21.7.27"])
def test_hyperos_is_unknown_and_not_too_old(version):
    assert on_phone("R15", replace(DEV, system=System.HYPEROS, system_version=version)).status is (
        UNKNOWN
    )


@pytest.mark.rule("R14", "R15")
def test_of_the_two_rules_for_miui_the_channel_takes_one():
    assert on_phone("R15", replace(XIAOMI, system_version="21.7.3")).status is OUT
    assert on_phone("R14", replace(DEV, smart_card="1.0")).status is OUT
    nobody_knows = replace(DEV, channel=None, smart_card="1.0", system_version="21.7.3")
    assert on_phone("R14", nobody_knows).status is UNKNOWN
    assert on_phone("R15", nobody_knows).status is UNKNOWN


@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    ("wallet", "expected"),
    [
        ("小米钱包", OK),
        ("Xiaomi Wallet", OK),
        ("另一个钱包", FAILED),
        ("", FAILED),
        (None, UNKNOWN),
    ],
)
def test_xiaomi_wallet_is_the_default(wallet, expected):
    assert on_phone("R17", replace(XIAOMI, default_wallet=wallet)).status is expected


@pytest.mark.rule("R18")
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("13.3.1", FAILED),
        ("13.4", OK),
        ("13.4.0", OK),
        ("13.10", OK),
        ("14", OK),
        ("", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_ios_has_its_least_version(version, expected):
    assert on_phone("R18", replace(IPHONE, system_version=version)).status is expected


@pytest.mark.rule("R20")
@pytest.mark.parametrize("phone", GOOD.values(), ids=GOOD)
def test_where_the_card_is_shown_is_nothing_to_check_before_it_is_open(phone):
    assert on_phone("R20", phone).status is OUT


@pytest.mark.rule("R21", "R22", "R23")
@pytest.mark.parametrize(
    ("rule", "phone", "miss"),
    [
        ("R21", HUAWEI, "Mate 20 lite"),
        ("R21", HONOR, "P40 lite"),
        ("R22", XIAOMI, "Redmi K40S"),
        ("R22", XIAOMI, "iPhone XR"),
        ("R23", IPHONE, "iPhone SE"),
        ("R23", IPHONE, "iPhone X R"),
    ],
)
def test_a_model_is_listed_unlisted_or_not_known(rule, phone, miss):
    assert on_phone(rule, phone).status is OK
    assert on_phone(rule, replace(phone, model=None)).status is UNKNOWN
    unlisted = replace(phone, model=miss)
    f = on_phone(rule, unlisted)
    assert f.status is FAILED
    assert f"{miss} is unlisted" in f.text.en
    assert "unsupported" not in f.text.en
    assert on_phone(rule, unlisted, unlisted_model="warn").status is UNKNOWN


@pytest.mark.rule("R23")
def test_a7_the_hint_is_in_the_sentence():
    assert "general Beijing card" in on_phone("R23", replace(IPHONE, model="iPhone SE")).text.en


@pytest.mark.rule("R22", "R23")
def test_a_member_of_a_series_is_told_to_be_an_interpretation():
    assert on_phone("R23", IPHONE).found.en == "line 416, iPhone XR"
    f = on_phone("R23", replace(IPHONE, model="iPhone 13 mini"))
    assert f.status is OK
    assert f.found.en == "line 404, iPhone 13系列, by interpretation of the series"
    assert "按解释" in f.found.zh


@pytest.mark.rule("R21", "R22")
def test_android_phones_of_other_brands_are_in_neither_table():
    other = Phone(Brand.OTHER, System.ANDROID, "OPPO Find X5", app="6.0.0.1")
    assert broken(findings(other)) == ["R21", "R22"]
    assert may_open(findings(other, unlisted_model="warn"))


@pytest.mark.rule("R18", "R23")
def test_a10_model_and_software_are_two_conditions():
    old = replace(IPHONE, model="iPhone 7", system_version="12.5")
    new = replace(IPHONE, model="iPhone 15", system_version="17.0")
    neither = replace(new, system_version="12.5")
    assert broken(findings(old)) == ["R18"]
    assert broken(findings(new)) == ["R23"]
    assert broken(findings(neither)) == ["R18", "R23"]


@pytest.mark.rule("R21", "R22")
def test_a8_a_phone_the_site_accepts_is_told_to_be_the_sites():
    ours = [SitePhone("Find X5", Brand.OTHER, "notice 3"), SitePhone("小米14", Brand.XIAOMI, "n")]
    for phone, rules in (
        (Phone(Brand.OTHER, System.ANDROID, "find x5"), {"R21", "R22"}),
        (replace(XIAOMI, model="小米14"), {"R22"}),
        (replace(HUAWEI, model="小米14"), set()),
    ):
        found = check(
            phone,
            STUDENT,
            catalogue=catalogue_with(ours),
            partners=PARTNERS,
            policy=IssuerPolicy(),
        )
        listed = {f.rule for f in found if f.found.en.startswith("listed by the site: n")}
        assert listed == rules
        assert {f.rule for f in found if f.rule in listed and f.status is OK} == rules


@pytest.mark.rule("R8", "R21", "R22")
def test_a_device_the_seed_does_not_name_at_all_is_no_way_around_its_rules():
    found = findings(Phone(Brand.OTHER, System.OTHER, "Nokia 3310", app=""))
    assert broken(found) == ["R8", "R21", "R22"]


@pytest.mark.rule("R9", "R18", "R23")
def test_a7_a_watch_is_unlisted_and_its_system_is_not_compared_with_ios():
    watch = Phone(Brand.APPLE, System.OTHER, "Apple Watch", system_version="6.2", app="6.0.0.1")
    found = {f.rule: f.status for f in findings(watch)}
    assert (found["R9"], found["R18"], found["R23"]) == (OK, UNKNOWN, FAILED)
