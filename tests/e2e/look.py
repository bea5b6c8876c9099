"""Holding a page to what every page must be: usable by all, quiet, and at home."""

from dataclasses import dataclass, field
from pathlib import Path

AXE = Path(__file__).parents[1] / "node/node_modules/axe-core/axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = {360: 740, 1280: 900}
_REPORT = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP ${event.violatedDirective}: ${event.blockedURI}`));
"""
_RUN = """async (tags) => {
  const found = await axe.run(document, {
    runOnly: {type: "tag", values: tags}, resultTypes: ["violations"], iframes: false,
  });
  return found.violations
    .filter((each) => ["serious", "critical"].includes(each.impact))
    .map((each) => `${each.id}: ` +
      each.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | "));
}"""
_TOO_WIDE = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return "";
  const wide = [...document.querySelectorAll("body *")].filter(
    (each) => each.getBoundingClientRect().right > root.clientWidth + 1);
  const last = wide.slice(0, 3).map((each) => each.outerHTML.slice(0, 120));
  return `${root.scrollWidth} of ${root.clientWidth} px: ${last.join(" | ")}`;
}"""


@dataclass
class Look:
    """One browser page and what was found wrong with what it showed."""

    page: object
    origin: str
    elsewhere: tuple[str, ...] = ()
    wrong: list[str] = field(default_factory=list)
    at: str = ""
    testing: bool = False

    def __post_init__(self) -> None:
        self.page.add_init_script(_REPORT)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.say(f"script: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def say(self, what: str) -> None:
        text = f"{self.at or self.page.url.removeprefix(self.origin)}: {what}"
        if text not in self.wrong:
            self.wrong.append(text)

    def _heard(self, message) -> None:
        if self.testing and "style" in message.text:
            # axe writes styles of its own while it looks; the policy blocks them.
            return
        # The page itself may come with an error's status, on purpose.
        itself = message.location.get("url") == self.page.url
        if message.type == "error" and not (itself and "status of" in message.text):
            self.say(f"console: {message.text[:300]}")

    def _asked(self, request) -> None:
        allowed = (self.origin, "data:", "blob:")
        if not request.url.startswith((*allowed, *self.elsewhere)):
            self.say(f"asks elsewhere: {request.url[:200]}")

    def _answered(self, response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self.say(f"{response.status} {response.url.removeprefix(self.origin)}")

    def dress(self, theme: str, width: int) -> None:
        """Show pages in a theme and at a width."""
        self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        self.page.set_viewport_size({"width": width, "height": WIDTHS[width]})

    def check(self, theme: str, width: int) -> None:
        """Hold what is shown now to all that can be seen in it."""
        where = self.page.url.removeprefix(self.origin)
        self.at = f"{where} ({theme}, {width} px)"
        self.dress(theme, width)
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text())
        self.testing = True
        found = self.page.evaluate(_RUN, TAGS)
        self.testing = False
        for violation in found:
            self.say(violation)
        too_wide = self.page.evaluate(_TOO_WIDE)
        if too_wide:
            self.say(f"scrolls sideways, {too_wide}")
        self.at = ""

    def visit(self, path: str, *dresses: tuple[str, int]) -> None:
        """Open a page, and check it in each theme and width."""
        self.dress(*dresses[0])
        self.page.goto(self.origin + path)
        self.page.wait_for_load_state("load")
        for dress in dresses:
            self.check(*dress)
