"""A policy is written in a browser, and its preview follows what is typed."""

import pytest

from tests.e2e.test_matrix import log_in

pytestmark = [
    pytest.mark.process,
    pytest.mark.browser,
    pytest.mark.timeout(600),
]


@pytest.fixture
def form(site, new_look):
    """The form of a new policy, with every request for a part of its preview."""
    look = new_look()
    log_in(look, *site.demo_login)
    page = look.page
    page.asked = []
    page.on("request", lambda sent: page.asked.append(sent.url.rsplit("/", 2)[-2]))
    page.goto(f"{look.origin}/app/demo/policies/new/?template=notify-only")
    page.wait_for_selector("#preview h3")
    yield page
    assert not look.wrong, "\n".join(look.wrong)


def test_the_preview_follows_what_is_typed(form):
    said = form.locator("#preview .said")
    assert "after 1,000,000 tokens in a day" in said.inner_text()
    form.fill("#id_limits-0-threshold", "12,345")
    form.locator("#preview .said", has_text="12,345").wait_for()
    form.wait_for_selector("#preview h3")
    # The name changes nothing of the past: it stays, and is not asked for again.
    form.asked.clear()
    with form.expect_response("**/preview/"):
        form.fill("#id_name", "Heavy days, renamed")
    form.wait_for_timeout(400)
    assert form.asked == ["preview"]
    assert form.locator("#preview h3").count() == 1
    # What is typed keeps the focus, and a fault is told in the preview alone.
    form.click("#id_limits-0-threshold")
    form.keyboard.press("End")
    form.keyboard.type("x")
    form.wait_for_selector("#preview .wrong")
    assert form.evaluate("document.activeElement.id") == "id_limits-0-threshold"
    form.keyboard.press("Backspace")
    form.wait_for_selector("#preview .said")
    # The button asks for all of it anew, in one piece.
    form.asked.clear()
    with form.expect_response("**/preview/"):
        form.get_by_role("button", name="Look again").click()
    form.wait_for_selector("#preview h3")
    form.check("input[name=rollout_mode][value=shadow]")
    form.get_by_role("button", name="Write the policy").click()
    form.wait_for_url("**/policies/pol_*/")
    assert "Heavy days, renamed" in form.locator("h1").inner_text()


def test_a_slider_moves_the_threshold(form):
    field = form.locator("#id_limits-0-threshold")
    slider = form.locator("[data-slide] input")
    slider.wait_for()
    told = form.locator("[data-slide] output")
    before = field.input_value()
    slider.focus()
    with form.expect_response("**/preview/"):
        form.keyboard.press("Home")
    assert field.input_value() != before
    assert told.inner_text().startswith(field.input_value())
    assert slider.get_attribute("aria-valuetext") == told.inner_text()
    # It stays under the hand while the preview is renewed.
    form.locator("#preview .said", has_text=field.input_value()).wait_for()
    assert slider.evaluate("each => each === document.activeElement")
    field.fill("2")
    assert told.inner_text().startswith("2")
    assert slider.input_value() == "0"


@pytest.fixture
def demo(site, new_look):
    look = new_look()
    log_in(look, *site.demo_login)
    yield look.page
    assert not look.wrong, "\n".join(look.wrong)


def test_what_was_opened_stays_open_when_gauges_are_renewed(demo):
    demo.locator("#dials-table > summary").click()
    demo.evaluate("() => document.querySelector('.dials').setAttribute('data-old', '')")
    with demo.expect_response("**/gauges/"):
        demo.evaluate(
            """() => {
                const board = document.querySelector(".dials").parentElement;
                const path = board.getAttribute("hx-get");
                htmx.ajax("GET", path, {target: board, swap: "innerHTML"});
            }"""
        )
    demo.locator(".dials:not([data-old])").wait_for()
    assert demo.locator("#dials-table").get_attribute("open") is not None


def test_all_policies_of_a_page_are_chosen_at_once(demo):
    demo.get_by_role("link", name="Policies", exact=True).click()
    every = demo.get_by_label("Choose all of this page")
    every.check()
    boxes = demo.locator("input[name=policy]")
    listed = boxes.count()
    assert listed == demo.locator("input[name=policy]:checked").count() > 3
    boxes.first.uncheck()
    assert every.evaluate("each => each.indeterminate")
    demo.get_by_label("Switch those chosen to").select_option("off")
    demo.get_by_role("button", name="Look over").click()
    demo.get_by_role("heading", name="Switch", level=1).wait_for()
    assert boxes.count() == listed - 1


def test_a_second_click_sends_nothing_again(site, demo):
    demo.goto(f"{site.url}/app/demo/bots/new/")
    demo.fill("#id_name", "Clicked twice")
    demo.locator("form.card button.main").dblclick()
    demo.wait_for_url("**/bots/bot_*/")
    demo.goto(f"{site.url}/app/demo/bots/?q=Clicked+twice")
    assert demo.get_by_role("link", name="Clicked twice").count() == 1
