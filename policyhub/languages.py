"""Which language an answer has: people's own for pages, English for programs."""

from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

# What programs read: its words are part of the contract.
PROGRAMS = ("/api/", "/v1/", "/readyz", "/anymail/")


class Languages(LocaleMiddleware):
    """Take the language that a person chose, else the browser's."""

    def process_request(self, request: HttpRequest) -> None:
        """Activate the language of the answer."""
        if not request.path_info.startswith(PROGRAMS):
            super().process_request(request)
            return
        translation.activate("en")
        request.LANGUAGE_CODE = "en"
