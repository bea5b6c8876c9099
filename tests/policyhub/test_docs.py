"""What the documents say that the code knows better."""

import re
from pathlib import Path

import pytest

from policyhub.settings_table import renewed, table

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_the_table_of_settings_is_current():
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    fix = "python -m policyhub.settings_table docs/operations.md"
    assert renewed(text) == text, f"renew it: {fix}"


def test_every_setting_has_its_row_and_secrets_their_files():
    rows = table().splitlines()
    assert any(row.startswith("| `PORT` | 8000 |") for row in rows)
    named = "| `POLICYHUB_KEY_PEPPER` or `POLICYHUB_KEY_PEPPER_FILE` |"
    assert any(row.startswith(named) for row in rows)


def test_a_document_without_a_place_for_it_is_refused():
    with pytest.raises(ValueError, match="does not frame"):
        renewed("# Operations\n")


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda p: p.name)
def test_links_lead_to_files(path):
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name} names {target}"


@pytest.mark.parametrize("kind", ["runtime", "dev"])
def test_every_dependency_has_its_reason(kind):
    reasons = (DOCS / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    wanted = DOCS.parent / "requirements" / f"{kind}.in"
    for line in wanted.read_text(encoding="utf-8").splitlines():
        name = re.split(r"[\[<>=~;# ]", line)[0]
        if name and not name.startswith("-"):
            assert re.search(rf"^\| {re.escape(name)}[ ,]", reasons, re.MULTILINE), name


def test_every_decision_is_listed():
    listed = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    for path in sorted((DOCS / "decisions").glob("0*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {path.name[:4]} ")
        assert f"({path.name})" in listed
