"""The pages on which an address says whether it wants an account's mail. No log-in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
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


@csrf_exempt  # programs for mail press the button without the page (RFC 8058)
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """Show the button by which the mail ends; end it when it is pressed."""
    try:
        recipient = recipients.recipient_of(token, stops=True)
    except NotFound:
        return render(request, "404.html", status=404)
    if request.method == "POST":
        recipient = recipients.withdraw(recipient=recipient)
    context = {"recipient": recipient, "account": recipient.account.name}
    return render(request, "dashboard/stop_mail.html", context)
