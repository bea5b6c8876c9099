"""The page on which an address says that it wants an account's mail. No log-in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.errors import NotFound
from alerts.services import recipients


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Show the button; note what it says when it is pressed.

    Following the link does nothing yet: programs that look at mails follow links.
    """
    try:
        recipient = recipients.recipient_of(token)
    except NotFound:
        return render(request, "404.html", status=404)
    if request.method == "POST":
        recipient = recipients.confirm(recipient=recipient, now=timezone.now())
    context = {"recipient": recipient, "account": recipient.account.name}
    return render(request, "dashboard/confirm.html", context)
