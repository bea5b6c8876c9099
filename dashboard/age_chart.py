"""A preview of retention as it is drawn: the ages of all rows, and the line."""

from collections.abc import Mapping
from typing import Any

from dashboard import charts
from retention.previews import HISTOGRAM_DAYS


def drawn_by_age(preview: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preview with its histogram laid out; each bar says if it is past."""
    bins = preview["histogram"]
    edges = (0, *HISTOGRAM_DAYS)
    cut = charts.cut([each["count"] for each in bins], edges, preview["max_age_days"])
    past, split = set(cut.past), cut.split
    marks = [
        {**each, "bar": bar, "past": n in past, "split": n == split}
        for n, (each, bar) in enumerate(zip(bins, cut.drawn.bars, strict=True))
    ]
    return {"preview": preview, "cut": cut, "marks": marks}
