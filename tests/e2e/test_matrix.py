"""Every page in light and dark, full and empty, narrow and wide: nothing is wrong.

`BROWSER=long` opens every page anew in each combination, and is a test each; the short
form looks at a full page in two of them, and at an empty one in a third.
"""

import os

import pytest

from tests.e2e.look import Look
from tests.e2e.places import UNHAPPY, page_paths, plain_paths
from tests.e2e.site import PASSWORD

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.timeout(600),
]

LONG = os.environ.get("BROWSER") == "long"
ALL = [[(theme, width)] for theme in ("light", "dark") for width in (1280, 360)]
FULL = ALL if LONG else [[("light", 1280), ("dark", 360)]]
EMPTY = ALL if LONG else [[("light", 360)]]


def named(dresses) -> str:
    return "+".join(f"{theme}-{width}" for theme, width in dresses)


def look_at(look: Look, path: str, dresses) -> None:
    """Check a path if it is a page; a form's target and a fragment are none."""
    request = look.page.context.request
    answer = request.get(look.origin + path, max_redirects=0)
    led = answer.headers.get("location", "")
    if answer.status in (204, 405) or (led and path.startswith(led)):
        return
    if answer.status != UNHAPPY.get(path, 200):
        look.wrong.append(f"{path}: answers {answer.status} {led}")
    elif "<html" in answer.text()[:200]:
        look.visit(path, *dresses)


def log_in(look: Look, address: str, password: str) -> None:
    look.page.goto(f"{look.origin}/accounts/login/")
    look.page.fill("input[name=login]", address)
    look.page.fill("input[name=password]", password)
    look.page.press("input[name=password]", "Enter")
    look.page.wait_for_url("**/app/**")


@pytest.mark.parametrize("dresses", FULL, ids=named)
def test_the_doors(site, new_look, dresses):
    look = new_look()
    for path in page_paths("demo", site.ids, doors=True):
        look_at(look, path, dresses)
    assert not look.wrong, "\n".join(look.wrong)


@pytest.mark.parametrize("dresses", FULL, ids=named)
def test_a_full_account(site, new_look, dresses):
    look = new_look()
    log_in(look, *site.demo_login)
    for path in page_paths("demo", site.ids, doors=False):
        look_at(look, path, dresses)
    assert not look.wrong, "\n".join(look.wrong)
    assert site.complaints == ""


@pytest.mark.parametrize("dresses", EMPTY, ids=named)
def test_an_empty_account(site, new_look, dresses):
    """In German, whose words are longer."""
    look = new_look(locale="de-DE")
    log_in(look, "empty@example.com", PASSWORD)
    for path in plain_paths("empty"):
        look_at(look, path, dresses)
    assert not look.wrong, "\n".join(look.wrong)
