"""Errors of ChatBotKit's routes: `message` and `code`, as its clients read them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from rest_framework.response import Response

from api.chatbotkit_words import told
from api.handling import handle

# What is 422 elsewhere and a bad request there.
_BAD_REQUESTS: Final = frozenset({"invalid_body", "invalid_query"})


def handle_error(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an error in their form; None for a fault of ours, which Django reports."""
    answer = handle(error, context)
    if answer is not None:
        if answer.data["code"] in _BAD_REQUESTS:
            answer.status_code = HTTPStatus.BAD_REQUEST
        answer.data = told(answer.status_code, answer.data)
    return answer
