"""Filters: they are in the address, keep the focus, and Back undoes them."""

import pytest

from tests.e2e.test_matrix import log_in

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.timeout(600),
]
_SHOWS = "([id, value]) => document.getElementById(id)?.value === value"
_FOCUSED = "(id) => document.activeElement.id === id"


@pytest.fixture
def look(site, new_look):
    look = new_look()
    log_in(look, *site.demo_login)
    yield look
    assert not look.wrong, "\n".join(look.wrong)


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("decisions/", "id_decision", "deny"),
        ("alerts/", "id_kind", "limit"),
        ("policies/", "pick-type", "usage"),
        ("usage/", "pick-metric", "calls"),
    ],
)
def test_a_filter_is_in_the_address_and_back_undoes_it(look, path, field, value):
    page = look.page
    page.goto(f"{look.origin}/app/demo/{path}")
    plain = page.input_value(f"#{field}")
    page.focus(f"#{field}")
    page.select_option(f"#{field}", value)
    page.wait_for_url(lambda url: f"={value}" in url)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(_FOCUSED, field)
    # Nothing is in the address that says nothing.
    assert not page.evaluate("/=(&|$)/.test(location.search)")
    page.go_back()
    page.wait_for_function(_SHOWS, arg=[field, plain])
    page.go_forward()
    page.wait_for_function(_SHOWS, arg=[field, value])


def test_an_added_limit_has_the_focus(look):
    page = look.page
    page.goto(f"{look.origin}/app/demo/policies/new/usage/?template=notify-only")
    page.get_by_role("button", name="Another limit").click()
    page.wait_for_selector("#id_limits-1-metric")
    page.wait_for_function(_FOCUSED, arg="id_limits-1-metric")
