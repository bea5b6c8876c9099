"""Tables as CSV, for spreadsheets: quoted by the rules, formulas defused."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a header and rows, the lines ended as RFC 4180 says."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(columns)
    table.writerows([[defused(row.get(name)) for name in columns] for row in rows])
    return written.getvalue()


def defused(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
