"""Accounts and the identity check: rules R5 and R24."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from issuer import accounts, roster
from issuer.accounts import TOKEN_LIFE, AccountState, Claim, Held
from issuer.errors import RuleError
from issuer.policy import IssuerPolicy
from issuer.refusal import Refusal
from issuer.roster_file import parse_toml
from tests.offices import NOW, SCHOOLS, Office, claim, document, may_open, small_roster


def said(answer: Held | Refusal) -> tuple[str, str] | AccountState:
    return (answer.rule, answer.reason) if isinstance(answer, Refusal) else answer.state


def login(office: Office, name: str = "student") -> int:
    return office.do(accounts.log_in, name).id


@pytest.mark.rule("R5")
def test_an_account_comes_from_login_over_proof_to_openable(office: Office):
    made = office.do(accounts.log_in, "student")
    assert made == Held(made.id, AccountState.LOGGED_IN)
    assert said(office.do(accounts.openable, made.id, may_open)) == ("R5", "not_authenticated")
    proven = office.authenticate(made.id, claim(0))
    assert proven.state is AccountState.AUTHENTICATED
    assert proven.person_id is not None
    opened = office.do(accounts.openable, made.id, may_open)
    assert opened.state is AccountState.OPENABLE
    assert office.do(accounts.account, made.id) == office.do(accounts.log_in, "student") == opened


@pytest.mark.rule("R5")
@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "王小"},
        {"name": ""},
        {"number": "2025K00001"},
        {"number": "nobody"},
        {"school": "OTHER"},
        {"document": document(1)},
        {"document": "7"},
    ],
    ids=str,
)
def test_one_thing_that_does_not_fit_proves_nothing(office: Office, wrong: dict[str, str]):
    account = login(office)
    assert said(office.authenticate(account, claim(0, **wrong))) == ("R5", "not_proven")
    assert office.do(accounts.account, account) == Held(account, AccountState.LOGGED_IN)
    assert said(office.authenticate(account, claim(0))) is AccountState.AUTHENTICATED


@pytest.mark.rule("R5")
def test_a_token_is_good_for_one_try(office: Office):
    account, other = login(office), login(office, "other")

    def tried(token: str, who: int = 0, by: int = account, after: timedelta = timedelta(0)):
        return said(office.tried(by, token, claim(who), after))

    begin = lambda: office.do(accounts.begin_check, account, NOW)  # noqa: E731
    stale = ("R5", "stale_token")
    token = begin()
    assert tried(token) is AccountState.AUTHENTICATED
    assert tried(token) == stale
    wrong = begin()
    assert tried(wrong, 1) == ("R24", "others_account")
    assert tried(wrong) == stale
    assert tried(begin(), by=other) == stale
    assert tried(begin(), after=TOKEN_LIFE) == stale
    assert tried(begin(), after=TOKEN_LIFE - timedelta(seconds=1)) is AccountState.AUTHENTICATED
    assert tried("no token") == stale


def test_a_token_tried_by_many_at_once_is_good_for_one(office: Office):
    account = login(office)
    token = office.do(accounts.begin_check, account, NOW)

    def tried(_: int):
        return said(office.tried(account, token, claim(0)))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(tried, range(40)))
    assert answers.count(AccountState.AUTHENTICATED) == 1
    assert answers.count(("R5", "stale_token")) == 39


def test_an_account_stays_one_persons(office: Office):
    account = office.account(0)
    before = office.do(accounts.account, account)
    assert said(office.authenticate(account, claim(1))) == ("R24", "others_account")
    assert office.do(accounts.account, account) == before


def test_a_person_has_one_account_until_an_outlet_sets_it_free(office: Office):
    old, new = office.account(0), login(office, "new")
    assert said(office.authenticate(new, claim(0))) == ("R24", "second_account")
    office.do(accounts.release, old)
    assert office.do(accounts.account, old) == Held(old, AccountState.LOGGED_IN)
    assert said(office.authenticate(new, claim(0))) is AccountState.AUTHENTICATED


def test_one_person_proven_on_many_accounts_at_once_gets_one(office: Office):
    made = [login(office, f"phone{n}") for n in range(20)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda a: said(office.authenticate(a, claim(0))), made))
    assert answers.count(AccountState.AUTHENTICATED) == 1
    assert answers.count(("R24", "second_account")) == 19


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        (lambda text: text.replace("正式学籍", "休学"), "R3"),
        (lambda text: text.replace("wage = false", "wage = true"), "R3"),
        (lambda text: text.replace("partner = true", "partner = false"), "R4"),
    ],
    ids=["on leave", "has wage", "school left"],
)
def test_a_roster_that_changed_after_the_proof_is_seen_before_a_card_is_opened(
    office: Office, changed, rule: str
):
    from tests.offices import student_table

    account = office.account(0)
    assert said(office.do(accounts.openable, account, may_open)) is AccountState.OPENABLE
    text = changed(SCHOOLS + student_table(0))
    roster.take(office.engine, office.documents, parse_toml(text))
    assert said(office.do(accounts.openable, account, may_open))[0] == rule
    assert office.do(accounts.account, account).state is AccountState.AUTHENTICATED
    roster.take(office.engine, office.documents, small_roster())
    assert said(office.do(accounts.openable, account, may_open)) is AccountState.OPENABLE


@pytest.mark.parametrize("name", ["13800138000", document(0), "王小明", "ab", "A" * 9, "a" * 33])
def test_a_login_is_no_telephone_and_no_document(office: Office, name: str):
    with pytest.raises(ValueError, match="begins with a letter") as refused:
        office.do(accounts.log_in, name)
    assert name not in str(refused.value)


def test_logins_at_once_make_one_account(office: Office):
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: login(office), range(40)))) == 1


def test_an_account_that_is_none_is_told():
    refusal = Refusal("R5", "stale_token", "重新认证。", "Begin a new one.")
    error = RuleError.of(refusal)
    assert str(error) == "R5: Begin a new one. (重新认证。)"
    assert (error.rule, error.reason) == ("R5", "stale_token")


def test_work_on_no_account_is_refused(office: Office):
    for work in (
        lambda s: accounts.account(s, 99),
        lambda s: accounts.begin_check(s, 99, NOW),
        lambda s: accounts.release(s, 99),
    ):
        with pytest.raises(LookupError, match="no account 99"):
            office.do(work)


def test_a_claim_shows_nothing_of_itself():
    assert claim(0).name not in repr(claim(0))


def test_what_is_remembered_of_checks_is_the_last_proof(office: Office):
    account = login(office)
    assert office.do(accounts.proven_at, account) is None
    office.authenticate(account, claim(0, name="Nobody"))
    assert office.do(accounts.proven_at, account) is None
    office.authenticate(account, claim(0))
    assert office.do(accounts.proven_at, account) == NOW
    office.authenticate(account, claim(0, name="Nobody"), after=timedelta(minutes=1))
    assert office.do(accounts.proven_at, account) == NOW
    office.authenticate(account, claim(0), after=timedelta(minutes=2))
    assert office.do(accounts.proven_at, account) == NOW + timedelta(minutes=2)


@pytest.mark.rule("R5")
@pytest.mark.parametrize("who", [claim(0), claim(0, name="Nobody")], ids=["right", "wrong"])
def test_a_token_that_came_too_late_is_no_proof(office: Office, who: Claim):
    account = office.account(0)
    token = office.do(accounts.begin_check, account, NOW)
    assert said(office.tried(account, token, who, TOKEN_LIFE)) == ("R5", "stale_token")
    assert office.do(accounts.proven_at, account) == NOW


# How many checks may fail

WRONG, TOO_MANY = claim(0, name="Nobody"), ("R5", "too_many_tries")


@pytest.mark.rule("R5")
@pytest.mark.parametrize("tries", [1, 2, 5])
def test_after_as_many_failures_as_the_knob_says_the_next_check_is_refused_unseen(
    office: Office, tries: int
):
    account = login(office)
    for _ in range(tries):
        assert said(office.authenticate(account, WRONG, identity_tries=tries)) == (
            "R5",
            "not_proven",
        )
    for who in (WRONG, claim(0)):
        assert said(office.authenticate(account, who, identity_tries=tries)) == TOO_MANY
    assert office.do(accounts.account, account) == Held(account, AccountState.LOGGED_IN)
    more = office.authenticate(account, claim(0), identity_tries=tries + 1)
    assert said(more) is AccountState.AUTHENTICATED


@pytest.mark.rule("R5")
@pytest.mark.parametrize("hours", [1, 24])
def test_a_failure_counts_as_long_as_the_knob_says(office: Office, hours: int):
    account, minute = login(office), timedelta(minutes=1)
    knobs = {"identity_tries": 2, "identity_wait_h": hours}
    office.authenticate(account, WRONG, **knobs)
    office.authenticate(account, WRONG, after=minute, **knobs)
    free = timedelta(hours=hours)
    last = office.authenticate(account, claim(0), after=free - timedelta(seconds=1), **knobs)
    assert said(last) == TOO_MANY
    assert f"{NOW + free:%Y-%m-%d %H:%M:%S}" in last.en
    assert f"{NOW + free:%Y-%m-%d %H:%M:%S}" in last.zh
    assert said(office.authenticate(account, WRONG, after=free, **knobs)) == ("R5", "not_proven")
    assert said(office.authenticate(account, claim(0), after=free, **knobs)) == TOO_MANY
    late = office.authenticate(account, claim(0), after=free + minute, **knobs)
    assert said(late) is AccountState.AUTHENTICATED


@pytest.mark.rule("R5")
def test_proofs_others_tokens_and_other_accounts_do_not_count(office: Office):
    account, other = login(office), login(office, "other")
    for _ in range(3):
        proof = office.authenticate(account, claim(0), identity_tries=1)
        assert said(proof) is AccountState.AUTHENTICATED
        assert said(office.tried(account, "no token", WRONG, identity_tries=1)) == (
            "R5",
            "stale_token",
        )
    office.authenticate(other, WRONG, identity_tries=1)
    assert said(office.authenticate(other, WRONG, identity_tries=1)) == TOO_MANY
    proof = office.authenticate(account, claim(0), identity_tries=1)
    assert said(proof) is AccountState.AUTHENTICATED


@pytest.mark.rule("R5", "R24")
def test_trying_out_who_others_are_counts_too_and_a_proof_between_does_not_help(office: Office):
    """That an account is another person's tells that the four fit: it must not be asked at will."""
    account = office.account(0)
    for _ in range(2):
        guess = office.authenticate(account, claim(1), identity_tries=2)
        assert said(guess) == ("R24", "others_account")
        office.authenticate(account, claim(0), identity_tries=3)
    assert said(office.authenticate(account, claim(1), identity_tries=2)) == TOO_MANY


@pytest.mark.rule("R5")
def test_tokens_kept_in_stock_and_tried_at_once_are_counted_by_the_database(office: Office):
    account = login(office)
    tokens = [office.do(accounts.begin_check, account, NOW) for _ in range(40)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda t: said(office.tried(account, t, WRONG)), tokens))
    assert answers.count(("R5", "not_proven")) == IssuerPolicy().identity_tries
    assert answers.count(TOO_MANY) == 40 - IssuerPolicy().identity_tries


def test_an_account_that_was_set_free_begins_to_count_anew(office: Office):
    account = login(office)
    office.authenticate(account, WRONG, identity_tries=1)
    office.do(accounts.release, account)
    proof = office.authenticate(account, claim(0), identity_tries=1)
    assert said(proof) is AccountState.AUTHENTICATED
