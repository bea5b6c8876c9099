import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.matching import (
    Caller,
    effective_user,
    enforced,
    in_rollout,
    matches,
    overlaps,
    subject_key,
    subject_of,
)
from policies.rules import Scope
from tests.policies.drafts import rule

ALICE = Caller(project="prj_a", bot="bot_a", user="u-1", model="gpt-4o-mini")
NOBODY = Caller(project=None, bot="bot_a", user=None, model=None)

names = st.sampled_from(["a", "ab", "b", "", "null"])
maybe = st.none() | names
models = st.none() | st.sampled_from(["g", "gp", "gpt", "x", "g*", "gp*", "x*", "*"])
callers = st.builds(
    Caller,
    project=maybe,
    bot=names,
    user=maybe,
    model=st.none() | st.sampled_from(["g", "gp", "gpt", "x"]),
)
scopes = st.builds(Scope, project=maybe, bot=maybe, user=maybe, model=models)


@pytest.mark.parametrize(
    ("scope", "caller", "verdict"),
    [
        (Scope(), ALICE, True),
        (Scope(), NOBODY, True),
        (Scope(bot="bot_a"), NOBODY, True),
        (Scope(bot="bot_b"), ALICE, False),
        (Scope(project="prj_a"), ALICE, True),
        (Scope(project="prj_a"), NOBODY, False),
        (Scope(user="u-1"), ALICE, True),
        (Scope(user="U-1"), ALICE, False),
        (Scope(user="u-1"), NOBODY, False),
        (Scope(model="gpt-4o-mini"), ALICE, True),
        (Scope(model="gpt-4o"), ALICE, False),
        (Scope(model="gpt-4o*"), ALICE, True),
        (Scope(model="gpt-4o-mini*"), ALICE, True),
        (Scope(model="*"), ALICE, True),
        (Scope(model="*"), NOBODY, False),
        (Scope(bot="bot_a", user="u-2"), ALICE, False),
    ],
)
def test_a_scope_matches_by_every_field_it_names(scope, caller, verdict):
    assert matches(scope, caller) is verdict


@given(scopes, callers)
def test_matching_agrees_with_the_words_of_b4(scope, caller):
    def admits(field):
        wanted, given_value = getattr(scope, field), getattr(caller, field)
        if wanted is None:
            return True
        if given_value is None:
            return False
        if field == "model" and wanted[-1:] == "*":
            return given_value[: len(wanted) - 1] == wanted[:-1]
        return wanted == given_value

    assert matches(scope, caller) == all(
        admits(field) for field in ("project", "bot", "user", "model")
    )


@given(scopes, scopes, callers)
def test_scopes_that_admit_one_caller_overlap(first, second, caller):
    if matches(first, caller) and matches(second, caller):
        assert overlaps(first, second)
    assert overlaps(first, second) == overlaps(second, first)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (Scope(), Scope(bot="bot_a"), True),
        (Scope(bot="bot_a"), Scope(bot="bot_b"), False),
        (Scope(bot="bot_a"), Scope(user="u-1"), True),
        (Scope(model="gpt-*"), Scope(model="gpt-4*"), True),
        (Scope(model="gpt-*"), Scope(model="claude-*"), False),
        (Scope(model="gpt-*"), Scope(model="gpt-4o"), True),
        (Scope(model="gpt-4o"), Scope(model="gpt-4o-mini"), False),
    ],
)
def test_overlap(first, second, verdict):
    assert overlaps(first, second) is verdict


@pytest.mark.parametrize(
    ("user", "owner", "effective"),
    [
        ("u-1", "owner", "u-1"),
        (None, "owner", "owner"),
        ("", "owner", "owner"),
        (None, None, None),
        (None, "", None),
    ],
)
def test_the_user_is_the_calls_own_else_the_bots_owner(user, owner, effective):
    assert effective_user(user, owner) == effective


def test_no_grouping_is_one_shared_counter():
    assert subject_of((), ALICE) == ()
    assert subject_key(()) == ""


def test_a_subject_has_a_value_for_each_field():
    assert subject_of(("bot", "user"), ALICE) == (("bot", "bot_a"), ("user", "u-1"))


def test_an_absent_value_is_a_combination_of_its_own():
    keys = {
        subject_key((("user", value),))
        for value in (None, "null", "", "None", '"', "u-1")
    }

    assert len(keys) == 6


subjects = st.lists(
    st.tuples(st.sampled_from(["bot", "user"]), st.none() | st.text(max_size=4)),
    max_size=2,
).map(tuple)


@given(subjects, subjects)
def test_different_subjects_have_different_keys(first, second):
    assert (subject_key(first) == subject_key(second)) == (first == second)
    subject_key(first).encode("ascii")


@given(st.text(max_size=8), callers, st.integers(-5, 105), st.integers(0, 20))
def test_raising_the_percentage_only_adds_callers(policy_id, caller, percent, more):
    if in_rollout(policy_id, caller, percent):
        assert in_rollout(policy_id, caller, percent + more)


@given(st.text(max_size=8), callers)
def test_nobody_is_in_at_0_and_everybody_at_100(policy_id, caller):
    assert not in_rollout(policy_id, caller, 0)
    assert in_rollout(policy_id, caller, 100)


def test_a_lone_surrogate_is_a_caller_like_another():
    in_rollout("pol_1", Caller(None, "bot_a", "\ud800", None), 50)


def test_the_share_is_about_what_was_asked_for():
    users = [Caller(None, "bot_a", f"u-{n}", None) for n in range(4000)]
    share = sum(in_rollout("pol_1", caller, 30) for caller in users) / len(users)

    assert 0.27 < share < 0.33


def test_a_callers_place_never_changes():
    # A release that moved callers would lift refusals from some and bind others.
    users = [Caller(None, "bot_a", f"u-{n}", None) for n in range(500)]
    entered = [
        next(p for p in range(101) if in_rollout("pol_1", caller, p))
        for caller in users
    ]

    assert entered[:8] == [24, 66, 5, 37, 49, 28, 45, 58]
    assert (min(entered), max(entered)) == (1, 100)


def test_a_user_stays_on_one_side_whatever_bot_or_model_it_uses():
    for n in range(50):
        sides = {
            in_rollout("pol_1", Caller(project, bot, f"u-{n}", model), 50)
            for project in (None, "prj_a")
            for bot in ("bot_a", "bot_b")
            for model in (None, "gpt-x")
        }
        assert len(sides) == 1


def test_policies_choose_their_shares_independently():
    callers = [Caller(None, f"bot_{n}", None, None) for n in range(200)]
    sides = [
        [in_rollout(policy_id, caller, 50) for caller in callers]
        for policy_id in ("pol_1", "pol_2")
    ]

    assert sides[0] != sides[1]


@pytest.mark.parametrize(
    ("mode", "percent", "verdict"),
    [
        ("enforce", 100, True),
        ("enforce", 0, False),
        ("shadow", 100, False),
        ("off", 100, False),
    ],
)
def test_only_an_enforced_policy_binds(mode, percent, verdict):
    chosen = rule(rollout_mode=mode, rollout_percent=percent)

    assert enforced(chosen, ALICE) is verdict
