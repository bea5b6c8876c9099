"""The table of settings in `docs/operations.md`, made from what `env.py` declares.

`python -m policyhub.settings_table docs/operations.md` writes it anew.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from policyhub.env_names import SETTINGS, Setting

START = "<!-- settings: made by policyhub.settings_table -->\n"
END = "<!-- end of settings -->\n"


def table() -> str:
    """Return the table as Markdown, the lines that frame it included."""
    rows = ["| Setting | Default | What it is |\n", "| --- | --- | --- |\n"]
    return START + "".join(rows + [_row(setting) for setting in SETTINGS]) + END


def renewed(text: str) -> str:
    """Return a document with its table of settings made anew.

    Raises ValueError if it has no place for one.
    """
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError("the document does not frame a table of settings")
    return before + table() + after


def _row(setting: Setting) -> str:
    name = f"`{setting.name}`"
    if setting.secret:
        name += f" or `{setting.name}_FILE`"
    cells = (name, setting.default, setting.meaning)
    # What stands in angle brackets would be taken for HTML.
    shown = (cell.replace("<", "&lt;").replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(shown) + " |\n"


def main(paths: Sequence[str]) -> None:
    """Renew the table in each of the documents."""
    for name in paths:
        path = Path(name)
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
