"""Tables as CSV, for spreadsheets: quoted by the rules, formulas defused."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rest_framework.renderers import BaseRenderer

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class CsvRenderer(BaseRenderer):
    """Writes what a view prepared: text that is CSV already."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the text itself."""
        return data


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
