"""Files as answers: what a view has written in their form already."""

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer


class TextRenderer(BaseRenderer):
    """Writes what a view prepared: text that has its form already."""

    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the text itself."""
        return data


class CsvRenderer(TextRenderer):
    """A table."""

    media_type = "text/csv"
    format = "csv"
