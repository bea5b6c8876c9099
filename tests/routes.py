"""Every route there is, found by looking: Django's resolver and the lane's own."""

import re
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

_CONVERTER = re.compile(r"<(?:[a-z_]+:)?(\w+)>")
_NAMED_GROUP = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


@dataclass(frozen=True, order=True)
class Place:
    """A path with `{names}` in it, and the methods that its view knows."""

    path: str
    methods: frozenset[str] | None = None
    name: str = ""

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)


def django_places() -> list[Place]:
    """Every pattern of the pages, catch-alls left out."""
    return sorted(set(_walk("/", get_resolver().url_patterns, "")), key=str)


def _walk(prefix, patterns, space):
    for pattern in patterns:
        path = prefix + _template(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _walk(path, pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern) and ".*" not in path:
            name = f"{space}{pattern.name or ''}"
            yield Place(path, _methods(pattern.callback), name)


def _template(text):
    text = _NAMED_GROUP.sub(r"{\1}", text.removeprefix("^").removesuffix("$"))
    text = text.replace("\\Z", "").replace("\\.", ".").replace("\\-", "-")
    return _CONVERTER.sub(r"{\1}", text)


def _methods(callback):
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view is None:
        return None
    known = ("get", "post", "put", "patch", "delete")
    return frozenset(name.upper() for name in known if hasattr(view, name))


def lane_places() -> list[Place]:
    """Every route that the lane answers itself, with the methods it takes."""
    from starlette.routing import Route

    from policyhub.asgi import root

    found: dict[str, set[str]] = {}
    for route in root.routes:
        if isinstance(route, Route) and ":path}" not in route.path:
            methods = {m for m in route.methods or () if m not in ("HEAD", "OPTIONS")}
            found.setdefault(route.path, set()).update(methods)
    places = [Place(path, frozenset(found[path])) for path in sorted(found)]
    return [*places, *_gateway_places()]


def _gateway_places() -> list[Place]:
    """The gateway finds its way by itself; this is where it looks."""
    from gateway.lane import _CHECKS, PREFIX

    posted = [Place(PREFIX + path, frozenset({"POST"})) for path in sorted(_CHECKS)]
    read = [f"{PREFIX}/models", f"{PREFIX}/models/{{model}}"]
    return [*posted, *(Place(path, frozenset({"GET"})) for path in read)]


def api_places() -> list[Place]:
    """What OpenAPI has to describe: the lane's routes and Django's below /api/."""
    below = [place for place in django_places() if place.path.startswith("/api/")]
    return [*lane_places(), *below]
