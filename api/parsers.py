"""The one parser of request bodies."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from accounts.errors import UnsupportedMediaType
from api import json


class StrictJSONParser(BaseParser):
    """Reads `application/json` as `api.json.loads` does, up to its size cap."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the body's value. Raises UnsupportedMediaType, MalformedJson."""
        request = (parser_context or {}).get("request")
        encoding = "" if request is None else request.META.get("HTTP_CONTENT_ENCODING")
        if (encoding or "identity").lower() != "identity":
            raise UnsupportedMediaType("Send the body without a Content-Encoding.")
        json.check_charset(media_type)
        return json.loads(stream.read(json.MAX_BYTES + 1))
