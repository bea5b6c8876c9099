"""The pictures of README and docs, from a browser that looks at the demo.

    python -m tests.e2e.pictures

Starts a demo of 60 days on loopback, and writes docs/images/*.png. Look at each of
them before it is committed.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.e2e.conftest import browser_path
from tests.e2e.look import Look
from tests.e2e.site import Site
from tests.e2e.test_matrix import log_in

FOLDER = Path(__file__).parents[2] / "docs/images"
DAYS = "60"
HEIGHT = 900
# File, address below the account (each `?name=` follows a link), theme, width.
PICTURES = [
    ("overview", "", "light", 1280),
    ("usage", "usage/?range=30d?name=Show that part", "dark", 1280),
    ("policy", "policies/?name=Support desk: monthly budget", "light", 1280),
    (
        "policy-form",
        "policies/?name=Support desk: tokens a day?name=Edit",
        "light",
        1280,
    ),
    ("decisions", "decisions/?decision=deny", "dark", 1280),
    ("retention", "retention/", "light", 1280),
    ("overview-phone", "", "dark", 390),
]


def take(look: Look, name: str, path: str, theme: str, width: int) -> None:
    """Take one picture of what is seen first."""
    page = look.page
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": HEIGHT})
    path, *links = path.split("?name=")
    page.goto(f"{look.origin}/app/demo/{path}")
    for link in links:
        page.get_by_role("link", name=link, exact=True).first.click()
        page.wait_for_load_state("load")
    page.wait_for_load_state("networkidle", timeout=5000)
    page.screenshot(path=FOLDER / f"{name}.png")


def main() -> None:
    """Take them all."""
    folder = Path(tempfile.mkdtemp(prefix="policyhub-pictures-"))
    folder.chmod(0o755)
    site = None
    try:
        site = Site(folder / "house", DAYS)
        # No worker is there to do it, and a receipt is worth seeing.
        site.house.run("manage.py", "prune")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browser_path(), args=["--no-sandbox"]
            )
            look = Look(browser.new_page(locale="en-US"), site.url)
            log_in(look, *site.demo_login)
            for picture in PICTURES:
                take(look, *picture)
            browser.close()
        sys.stdout.write("\n".join(look.wrong))
    finally:
        if site is not None:
            site.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
