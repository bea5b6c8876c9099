"""The schema and its viewer: open to all, without a request to any other host."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularAPIView

from api.errors import NoSuchRoute
from api.failures import answered


class SchemaView(SpectacularAPIView):
    """OpenAPI 3.1 of the whole API, hot routes included."""

    # JSON for whoever does not ask: every reader of YAML reads it too.
    renderer_classes = [
        OpenApiJsonRenderer2,
        OpenApiJsonRenderer,
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
    ]
    authentication_classes = []
    permission_classes = []


def docs(request: HttpRequest) -> HttpResponse:
    """Show the schema. All scripts and styles are files of our own."""
    return render(request, "api/docs.html")


@csrf_exempt
def no_route(request: HttpRequest) -> HttpResponse:
    """Answer every path under `/api/` that is none: a problem, not a page."""
    return answered(NoSuchRoute())
