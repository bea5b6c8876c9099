"""What ChatBotKit's routes have in common: their errors, their lines of JSON."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import InvalidBody
from api.chatbotkit_errors import handle_error
from api.chatbotkit_words import told
from api.endpoint import Endpoint, invalid_query
from api.errors import NoSuchRoute, problem

# Who would act as a child account in ChatBotKit must not write into the whole one.
_IMPERSONATION = ("HTTP_X_RUNAS_USER_ID", "HTTP_X_RUNAS_CHILD_USER_EMAIL")


class PlainJson(JSONRenderer):
    """`application/json`, errors included."""

    charset = None


class JsonLines(BaseRenderer):
    """`application/jsonl`: a line for each item of a list.

    In ASCII: their client decodes each chunk of the body by itself.
    """

    media_type = "application/jsonl"
    format = "jsonl"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the lines; nothing for an empty list."""
        lines = (json.dumps({"type": "item", "data": each}) for each in data["items"])
        return "".join(f"{line}\n" for line in lines).encode("ascii")


class CompatEndpoint(Endpoint):
    """A route as ChatBotKit has it."""

    renderer_classes = [PlainJson]
    content_negotiation_class = DefaultContentNegotiation
    scopes: ClassVar[dict[str, str]] = {}

    def get_exception_handler(self) -> Any:
        """Answer errors in their form."""
        return handle_error

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what we cannot do as they would."""
        super().initial(request, *args, **kwargs)
        for name in _IMPERSONATION:
            if name in request.META:
                header = name.removeprefix("HTTP_").replace("_", "-").lower()
                raise invalid_query(header, "is not supported: accounts have no child")

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Answer errors as plain JSON, whatever was asked for."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        if answer.status_code >= 400:
            answer.accepted_renderer = PlainJson()
            answer.accepted_media_type = PlainJson.media_type
            answer.content_type = PlainJson.media_type
        answer.add_post_render_callback(_say_type)
        return answer

    def empty_body(self) -> None:
        """Refuse a body that says anything. Raises InvalidBody."""
        body = self.request.data
        if not isinstance(body, Mapping) or body:
            fault = "must be an empty object"
            raise InvalidBody(errors=[{"pointer": "", "detail": fault}])


def _say_type(answer: Response) -> None:
    """Say what no lines are lines of: the framework leaves an empty body untyped."""
    answer.headers.setdefault("Content-Type", answer.accepted_media_type)


@csrf_exempt
def no_route(request: HttpRequest) -> JsonResponse:
    """Answer every path of theirs that is none here."""
    body = told(NoSuchRoute.status, problem(NoSuchRoute()))
    return JsonResponse(body, status=404, headers={"Cache-Control": "no-store"})
