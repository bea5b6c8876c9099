"""What an alert's mail says, and that nothing in a name can break out of it."""

import re
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller
from django.test import override_settings

from accounts.actors import SYSTEM, Actor
from accounts.models import Account, Person
from accounts.services import add_member
from alerts import services
from alerts.mail import compose, one_line, subject_of
from alerts.models import Delivery, Recipient
from alerts.services.recipients import send_test
from tests.alerts.conftest import NOW
from tests.ports import free_port

pytestmark = pytest.mark.django_db


class Sink:
    """Keeps what it is sent."""

    def __init__(self):
        self.envelopes = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def sink():
    handler = Sink()
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        EMAIL_USE_TLS=False,
        EMAIL_USE_SSL=False,
        EMAIL_HOST_USER="",
        EMAIL_HOST_PASSWORD="",
    ):
        yield handler
    controller.stop()


def confirmed(address, account=None):
    account = account or Account.objects.get(slug="alice")
    Recipient.objects.create(account=account, address=address, confirmed_at=NOW)


def composed(alert):
    return compose(Delivery.objects.get(alert=alert), ["alice@example.com"])


def test_the_mail_says_what_happened_and_where_to_look(opened, settings):
    settings.POLICYHUB_SITE_URL = "https://hub.example.com"
    alert = opened(resets_at=NOW + timedelta(hours=12))

    message = composed(alert)

    link = f"https://hub.example.com/app/alice/alerts/{alert.public_id}/"
    ((html, kind),) = message.alternatives
    assert kind == "text/html"
    for text in (message.body, html):
        assert "Daily cap: 1,000 of 1,000 tokens used." in text
        assert "What PolicyHub did: Nothing was stopped" in text
        assert "Resets: 2026-11-22 00:00 UTC" in text
        assert link in text


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"late": True}, "had ended"),
        ({"enforced": False}, "not enforced"),
        ({"state": "warning", "step": 80}, "early warning"),
        ({"used": 990, "threshold": 1000}, "A call was refused"),
        ({"used": 1000, "threshold": 1000}, "Nothing was stopped"),
        ({"actions": ["throttle"]}, "do not fit any more are refused"),
        ({"actions": ["block"]}, "are refused from now on"),
        ({"actions": ["block"], "resets_at": NOW}, "refused at least until 2026-"),
        ({"actions": ["block"]}, "Wait until the block ends"),
        ({"actions": ["block"], "used": 9, "threshold": 10}, "Wait until it resets"),
        ({"actions": ["revoke"]}, "restore it on its page"),
        ({"actions": ["revoke", "block"]}, "The bot was revoked"),
        ({"kind": "retention_paused"}, "Nothing of it is deleted until"),
        ({"kind": "retention_overdue"}, "tried again every minute"),
    ],
)
def test_the_mail_says_what_was_done(opened, facts, expected):
    assert expected in composed(opened(**facts)).body


def test_names_are_escaped_in_html(opened):
    alert = opened(policy_name="<img src=x>", message="<b>&")

    message = composed(alert)

    ((html, _),) = message.alternatives
    assert "<img" not in html
    assert "<b>&" not in html
    assert "<b>&" in message.body


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nBcc: eve@example.com",
        "a\nb",
        "a\x00b\x1b[31m",
        "a\u2028b\u2029c",
        "abc\u202egnp.exe",
        "x" * 200,
    ],
)
def test_a_name_cannot_add_a_header(opened, name):
    alert = opened(policy_name=name.replace("\x00", ""))
    subject = subject_of(alert)

    assert len(subject) <= 180
    assert subject == one_line(subject)
    message = message_from_bytes(composed(alert).message().as_bytes())
    assert message["Bcc"] is None


def test_a_recipient_cannot_add_a_header(opened):
    address = "a@example.com\nBcc: eve@example.com"
    opened(recipients=[("email", address)])
    confirmed(address)

    assert services.deliver_due(now=NOW) == 0
    delivery = Delivery.objects.get()
    assert delivery.attempts == 1
    assert "BadHeaderError" in delivery.last_error


def test_a_mail_reaches_a_real_server(opened, sink):
    opened(1)
    opened(2, recipients=[("email", "ops@example.com")], policy_name="Größe — 日本")
    confirmed("ops@example.com")

    assert services.deliver_due(now=NOW) == 2

    sent = {envelope.rcpt_tos[0]: envelope for envelope in sink.envelopes}
    assert sent.keys() == {"alice@example.com", "ops@example.com"}
    content = sent["ops@example.com"].content
    message = message_from_bytes(content, policy=policy.default)
    assert "Größe — 日本" in message["Subject"]
    delivery = Delivery.objects.get(recipient="ops@example.com")
    assert message["Message-ID"] == f"<{delivery.public_id}@policyhub>"
    assert message.get_body(["plain"]) is not None
    assert message.get_body(["html"]) is not None


def test_a_server_that_refuses_is_tried_again(opened, sink):
    async def refuse(server, session, envelope):
        return "451 later"

    accept, sink.handle_DATA = sink.handle_DATA, refuse
    opened()
    assert services.deliver_due(now=NOW) == 0

    sink.handle_DATA = accept
    assert services.deliver_due(now=NOW + timedelta(seconds=31)) == 1
    assert len(sink.envelopes) == 1


def test_each_reads_mails_in_a_language_of_their_own(account, opened, sink):
    """A member's own, else the account's; a German and an English letter of one."""
    Account.objects.filter(id=account.id).update(language="de")
    for name, language in (("bob", "en"), ("dora", ""), ("carla", "de")):
        person = Person.objects.create_user(f"{name}@example.com", language=language)
        add_member(account=account, person=person, role="owner", actor=SYSTEM, now=NOW)
    recipients = [("email", ""), ("email", "guest@example.com")]
    message = "Daily cap: 1,000 of 1,000 tokens used"
    facts = {"actions": ["block"], "resets_at": NOW, "message": message}
    opened(recipients=recipients, **facts)
    confirmed("guest@example.com")

    assert services.deliver_due(now=NOW) == 2

    read = {}
    for envelope in sink.envelopes:
        message = message_from_bytes(envelope.content, policy=policy.default)
        for address in envelope.rcpt_tos:
            read[address.partition("@")[0]] = message
    assert read.keys() == {"alice", "bob", "dora", "carla", "guest"}
    for name in ("alice", "dora", "carla", "guest"):
        message = read[name]
        assert message["Subject"] == "[PolicyHub] Limit erreicht: Daily cap"
        html = message.get_body(["html"]).get_content()
        assert '<html lang="de">' in html
        for text in (message.get_body(["plain"]).get_content(), html):
            assert "1.000 von 1.000 Token verbraucht" in text
            assert "Was PolicyHub tat: Alle Aufrufe" in text
    assert read["bob"]["Subject"] == "[PolicyHub] Limit reached: Daily cap"
    assert "1,000 of 1,000" in read["bob"].get_body(["plain"]).get_content()
    assert len({str(message["Message-ID"]) for message in read.values()}) == 3


def test_questions_digests_and_tests_are_german_too(account, opened, sink, settings):
    Account.objects.filter(id=account.id).update(language="de")
    alert = opened(recipients=[("email", "guest@example.com")])
    actor = Actor("person", "per_1", "alice@example.com")
    send_test(account=account, address="alice@example.com", actor=actor, now=NOW)
    for minutes in (0, 1):
        services.deliver_due(now=NOW + timedelta(minutes=minutes))
    settings.POLICYHUB_MAILS_PER_HOUR = 1
    for number in (1, 2, 3):
        opened(number)
    for minutes in (61, 125):
        services.deliver_due(now=NOW + timedelta(minutes=minutes))

    mails = [
        message_from_bytes(each.content, policy=policy.default)
        for each in sink.envelopes
    ]
    subjects = "\n".join(str(each["Subject"]) for each in mails)
    for said in ("Möchten Sie Alarme", "weitere", "Ein Test für die Alarme"):
        assert said in subjects, subjects
    plain = "\n".join(each.get_body(["plain"]).get_content() for each in mails)
    assert "Sie bekommen dies, weil: guest@example.com hat noch nicht" in plain
    assert not re.search(r"\b(the|you|alerts)\b", plain.replace("/alerts/", ""))
    assert alert.public_id in plain
