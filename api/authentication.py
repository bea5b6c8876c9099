"""How a request says who calls: a key in its header, or a session of a person."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from accounts.errors import InvalidKey, UnsupportedMediaType
from accounts.models import Person
from accounts.selectors import authenticate_key
from accounts.services import touch_key
from api.callers import Caller, caller_of_key, caller_of_person
from api.errors import CsrfFailed


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer phk_…`; a header that is there has to be right."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        """Return the key's caller, None without a header. Raises InvalidKey."""
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidKey
        now = timezone.now()
        key = authenticate_key(text.strip(), now)
        touch_key(key=key, now=now)
        return AnonymousUser(), caller_of_key(key)

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return 'Bearer realm="policyhub"'


class PersonAuthentication(BaseAuthentication):
    """A person's session, in the account that `?account=` names or their first."""

    def authenticate(self, request: Request) -> tuple[Person, Caller] | None:
        """Return the person's caller, None without a log-in. Raises CsrfFailed."""
        person = getattr(request._request, "user", None)  # noqa: SLF001
        if not isinstance(person, Person) or not person.is_active:
            return None
        _check_csrf(request)
        slug = request.query_params.get("account")
        return person, caller_of_person(person, slug)


def _check_csrf(request: Request) -> None:
    check = CSRFCheck(_unused)
    plain = request._request  # noqa: SLF001
    check.process_request(plain)
    try:
        refused = check.process_view(plain, _unused, (), {})
    except MultiPartParserError:
        # The check looks for its token in a form, and this is none.
        raise UnsupportedMediaType from None
    if refused:
        raise CsrfFailed


def _unused(_: HttpRequest) -> HttpResponse:
    """Stand for the view that the check is usually followed by."""
    return HttpResponse()
