"""The admin in a browser: nothing of it is wrong either, and it asks before it acts.

`BROWSER=long` looks at every page in both dresses; the short form in one or the other.
"""

import pytest

from tests.e2e.test_matrix import LONG, log_in

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.timeout(600),
]

DRESSES = [("light", 1280), ("dark", 360)]
LISTS = (
    "accounts/bot/",
    "accounts/account/",
    "accounts/changerecord/",
    "alerts/delivery/?q=example",
    "policies/policy/",
    "retention/prunerun/",
    "usage/counter/",
    "audit/decisionrecord/",
    "accounts/member/add/",
    "usage/price/add/",
    "socialaccount/socialapp/add/",
    "django_celery_beat/periodictask/",
)


@pytest.fixture
def admin(site, new_look):
    look = new_look()
    log_in(look, *site.demo_login)
    return look


def first_row(look, path: str) -> str:
    look.page.goto(f"{look.origin}/admin/{path}")
    link = look.page.locator("#result_list th a").first
    return link.get_attribute("href")


def test_the_door(new_look):
    look = new_look()
    look.visit("/admin/login/?next=/admin/", *DRESSES)
    assert not look.wrong, "\n".join(look.wrong)


def test_lists_and_forms(admin):
    account = first_row(admin, "accounts/account/")
    paths = ["/admin/", *(f"/admin/{path}" for path in LISTS)]
    paths += [first_row(admin, "accounts/bot/"), first_row(admin, "policies/policy/")]
    paths += [account, account.replace("change", "support")]
    for number, path in enumerate(paths):
        admin.visit(path, *(DRESSES if LONG else [DRESSES[number % 2]]))
    assert not admin.wrong, "\n".join(admin.wrong)


def test_an_action_asks_first_and_says_what_it_did(admin):
    page = admin.page
    page.goto(f"{admin.origin}/admin/accounts/bot/?q=Voice")
    page.locator("input.action-select").first.check()
    page.select_option("select[name=action]", label="Block bots")
    page.click("button[name=index]")
    assert page.locator("h1").inner_text() == "Block bots"
    for dress in DRESSES:
        admin.check(*dress)
    page.fill("input[name=reason]", "A look from the admin")
    page.click("input[type=submit]")
    assert "1 row: blocked" in page.locator(".messagelist").inner_text()
    page.locator("input.action-select").first.check()
    page.select_option("select[name=action]", label="Unblock bots")
    page.click("button[name=index]")
    assert "unblocked" in page.locator(".messagelist").inner_text()
    assert not admin.wrong, "\n".join(admin.wrong)


def test_a_row_is_found_by_typing(admin):
    page = admin.page
    page.goto(f"{admin.origin}/admin/usage/price/add/")
    page.get_by_role("searchbox", name="Search: account").fill("lumen")
    chosen = page.locator("select[name=account] option:checked")
    chosen.filter(has_text="Lumen").wait_for(state="attached")
    assert not admin.wrong, "\n".join(admin.wrong)
