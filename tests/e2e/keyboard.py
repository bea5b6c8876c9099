"""Somebody who has a keyboard and no mouse."""

from tests.e2e.look import Look

MOST_STEPS = 200
_FOCUSED = """(wanted) => {
  const here = document.activeElement;
  return here === wanted || (wanted.tagName === "LABEL" && here === wanted.control);
}"""


class Keyboard:
    """Drives a page by Tab, Enter, Space and letters; never by a pointer."""

    def __init__(self, look: Look) -> None:
        self.look, self.page = look, look.page

    def go_to(self, wanted) -> None:
        """Tab until the element has the focus, as anybody can see it has."""
        wanted.wait_for()
        handle = wanted.element_handle()
        for _ in range(MOST_STEPS):
            if self.page.evaluate(_FOCUSED, handle):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no Tab reaches {wanted}")

    def follow(self, name: str, role: str = "link") -> None:
        """Go to a link or button by its name and press Enter."""
        wanted = self.page.get_by_role(role, name=name, exact=True).first
        self.go_to(wanted)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def press(self, name: str) -> None:
        """Go to a button by its name and press Enter."""
        self.follow(name, "button")

    def open(self, summary: str) -> None:
        """Go to a summary and open what is below it."""
        wanted = self.page.locator("summary", has_text=summary).first
        self.go_to(wanted)
        if wanted.locator("..").get_attribute("open") is None:
            self.page.keyboard.press("Enter")

    def type(self, field: str, text: str) -> None:
        """Go to a field by its name and type over what is in it."""
        wanted = self.page.locator(f"[name={field}]:visible").first
        self.go_to(wanted)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def tick(self, field: str) -> None:
        """Go to a box by its name and tick it."""
        wanted = self.page.locator(f"input[name={field}]:visible").first
        self.go_to(wanted)
        if not wanted.is_checked():
            self.page.keyboard.press("Space")
        assert wanted.is_checked()
