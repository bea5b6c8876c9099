"""Signing up, making an account, inviting people, and who may do so."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Invitation, Member, Person
from tests.dashboard.conftest import PASSWORD, logged_in

pytestmark = pytest.mark.django_db
SETTINGS = "/app/acme/settings/"
NEW_PASSWORD = "a long and new pass phrase"


def invite(browser, email="dora@example.com", role="auditor"):
    return browser.post(f"{SETTINGS}invite/", {"email": email, "role": role})


def link_in(message):
    return re.search(r"http://[^/]+(/join/\S+)", message.body)[1]


def sign_up(client, email):
    form = {"email": email, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    return client.post(reverse("account_signup"), form)


def test_an_invited_stranger_signs_up_and_joins(browser, account):
    assert invite(browser).status_code == 302
    [message] = mail.outbox
    assert message.to == ["dora@example.com"]
    guest = Client()
    link = link_in(message)
    assert b"Make a log-in" in guest.get(link).content
    sign_up(guest, "dora@example.com")
    assert b"Join" in guest.get(link).content
    answer = guest.post(link)
    assert answer.url == "/app/acme/"
    member = account.members.get(person__email="dora@example.com")
    assert member.role == Member.Role.AUDITOR
    assert guest.get(link).status_code == 404
    assert guest.get("/app/acme/").status_code == 200


def test_only_the_invited_address_signs_up_by_invitation(browser, settings):
    settings.POLICYHUB_SIGNUP = "invited"
    assert sign_up(Client(), "dora@example.com").status_code in (200, 302)
    assert not Person.objects.filter(email="dora@example.com").exists()
    invite(browser)
    guest = Client()
    guest.get(link_in(mail.outbox[0]))
    assert b"The invitation is for" in sign_up(guest, "eve@example.com").content
    sign_up(guest, "dora@example.com")
    assert Person.objects.filter(email="dora@example.com").exists()


def test_an_invitation_is_no_use_to_another(browser, charlie, account):
    invite(browser)
    link = link_in(mail.outbox[0])
    stranger = logged_in(charlie)
    assert b"You are logged in as charlie@example.com" in stranger.get(link).content
    assert stranger.post(link).status_code == 409
    assert not account.members.filter(person=charlie).exists()
    assert Client().get("/join/forged/").status_code == 404


def test_who_signs_up_confirms_the_address_and_opens_an_account(settings):
    settings.POLICYHUB_SIGNUP = "open"
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    guest = Client()
    sign_up(guest, "dora@example.com")
    assert guest.get("/app/").status_code == 302
    confirm = re.search(
        r"http://[^/]+(/accounts/confirm-email/\S+)", mail.outbox[0].body
    )
    guest.post(confirm[1])
    guest.post(
        reverse("account_login"),
        {"login": "dora@example.com", "password": NEW_PASSWORD},
    )
    assert b"New account" in guest.get("/app/").content
    bad = guest.post("/app/new/", {"name": "", "timezone": "Mars/Base"})
    assert bad.status_code == 422
    made = guest.post("/app/new/", {"name": "Acme & Söhne", "timezone": "Asia/Tokyo"})
    account = Account.objects.get(slug="acme-sohne")
    assert made.url == "/app/acme-sohne/start/"
    assert account.timezone == "Asia/Tokyo"
    again = guest.post("/app/new/", {"name": "Acme Söhne", "timezone": "UTC"})
    assert again.url == "/app/acme-sohne-2/start/"


def test_where_people_are_invited_nobody_opens_an_account(bob, settings):
    settings.POLICYHUB_SIGNUP = "invited"
    form = {"name": "Mine", "timezone": "UTC"}
    assert logged_in(bob).post("/app/new/", form).status_code == 403
    assert Account.objects.count() == 1


@pytest.mark.parametrize("role", ["operator", "auditor", "viewer"])
def test_only_owners_manage(bob, account, role):
    Member.objects.filter(person=bob).update(role=role)
    teammate = logged_in(bob)
    assert b"Invite somebody" not in teammate.get(SETTINGS).content
    assert invite(teammate).status_code == 403
    assert teammate.post(f"{SETTINGS}save/", {"name": "Mine"}).status_code == 403
    assert not Invitation.objects.exists()


def test_owners_change_roles_and_remove_people(browser, bob, account):
    member = account.members.get(person=bob)
    at = f"{SETTINGS}members/{member.public_id}/"
    told = browser.post(f"{at}role/", {"role": "viewer"}, follow=True)
    assert b"bob@example.com is Viewer now." in told.content
    member.refresh_from_db()
    assert member.role == "viewer"
    for role in ("emperor", "", "<b>", "\x00"):
        told = browser.post(f"{at}role/", {"role": role}, follow=True)
        assert 'class="note bad"' in told.content.decode(), role
    member.refresh_from_db()
    assert member.role == "viewer"
    wrong = browser.post(f"{at}remove/", {"name": "somebody", "reason": "left"})
    assert wrong.status_code == 422
    browser.post(f"{at}remove/", {"name": bob.email, "reason": "left"})
    assert not account.members.filter(person=bob).exists()
    assert logged_in(bob).get("/app/acme/").status_code == 404


def test_an_owner_who_leaves_is_led_to_their_accounts(browser, bob, account):
    member = account.members.get(person=bob)
    at = f"{SETTINGS}members/{member.public_id}/"
    browser.post(f"{at}role/", {"role": "owner"})
    typed = {"name": bob.email, "reason": "another job"}
    answer = logged_in(bob).post(f"{at}remove/", typed)
    assert (answer.status_code, answer.url) == (302, "/app/")
    assert not account.members.filter(person=bob).exists()


def test_readers_are_told_what_owners_set(as_role, account):
    account.week_start, account.language = 7, "de"
    account.save()
    page = as_role("viewer").get(SETTINGS).content.decode()
    assert "<dd>Sunday</dd>" in page
    assert "<dd>Deutsch</dd>" in page


def test_the_last_owner_stays(browser, alice, account):
    member = account.members.get(person=alice)
    at = f"{SETTINGS}members/{member.public_id}/"
    told = browser.post(f"{at}role/", {"role": "viewer"}, follow=True)
    assert b"keeps at least one owner" in told.content
    assert account.members.get().role == "owner"


def test_settings_are_saved_and_checked(browser, account):
    form = {"name": "Acme Ltd", "timezone": "Asia/Kolkata", "week_start": "7"}
    browser.post(f"{SETTINGS}save/", {**form, "stores_text": "on"})
    account.refresh_from_db()
    assert (account.name, account.timezone) == ("Acme Ltd", "Asia/Kolkata")
    assert (account.week_start, account.stores_text) == (7, True)
    bad = browser.post(f"{SETTINGS}save/", {**form, "timezone": "Mars/Base"})
    assert bad.status_code == 422


def test_foreign_people_and_invitations_are_absent(browser, charlie):
    foreign = Member.objects.get(person=charlie).public_id
    for address in (
        f"{SETTINGS}members/{foreign}/role/",
        f"{SETTINGS}members/mem_00000000000000000000000000/role/",
        f"{SETTINGS}invitations/inv_00000000000000000000000000/revoke/",
    ):
        assert browser.post(address, {"role": "viewer"}).status_code == 404


def test_an_invitation_is_taken_back(browser):
    invite(browser)
    invitation = Invitation.objects.get()
    browser.post(f"{SETTINGS}invitations/{invitation.public_id}/revoke/")
    assert Client().get(link_in(mail.outbox[0])).status_code == 404


def test_the_password_is_reset_by_mail(alice):
    guest = Client()
    guest.post(reverse("account_reset_password"), {"email": alice.email})
    link = re.search(
        r"http://[^/]+(/accounts/password/reset/key/\S+)", mail.outbox[0].body
    )
    form = guest.get(link[1], follow=True)
    at = form.redirect_chain[-1][0]
    guest.post(at, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert Client().login(username=alice.email, password=NEW_PASSWORD)
    assert not Client().login(username=alice.email, password=PASSWORD)


def test_an_invitation_is_written_in_the_guests_language(browser, account):
    Account.objects.filter(id=account.id).update(language="de")
    Person.objects.create_user("dora@example.com", PASSWORD, language="en")
    invite(browser, "dora@example.com")
    invite(browser, "emil@example.com", role="viewer")
    english, german = mail.outbox
    assert english.subject == "You are invited to Acme on PolicyHub"
    assert german.subject == "Sie sind zu Acme auf PolicyHub eingeladen"
    ((page, kind),) = german.alternatives
    assert kind == "text/html"
    assert '<html lang="de">' in page
    for text in (german.body, page):
        assert "Betrachter" in text
        assert not re.search(r"\b(the|you|open)\b", text)


@pytest.mark.parametrize("language", ["de", "en"])
def test_mails_of_the_log_in_are_written_in_the_persons_language(alice, language):
    Person.objects.filter(id=alice.id).update(language=language)
    Client().post(reverse("account_reset_password"), {"email": alice.email})
    [message] = mail.outbox
    ((page, _),) = message.alternatives
    assert f'<html lang="{language}">' in page
    assert '<a href="http://' in page
    english = bool(re.search(r"\b(the|you|this)\b", message.body))
    assert english == (language == "en"), message.body
    assert message.subject.startswith("Ein neues" if language == "de" else "A new")


def test_the_language_of_a_sign_up_stays(settings):
    settings.POLICYHUB_SIGNUP = "open"
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    guest = Client()
    guest.post("/language/", {"language": "de", "next": "/"})
    sign_up(guest, "frieda@example.com")
    assert Person.objects.get(email="frieda@example.com").language == "de"
    [message] = mail.outbox
    assert message.subject == "Bitte bestätigen Sie Ihre E-Mail-Adresse"
    assert "bei PolicyHub nennt Ihre E-Mail-Adresse" in message.body
    assert not re.search(r"\b(the|you|this)\b", message.body), message.body


def test_an_account_speaks_the_language_that_it_is_made_in(settings, bob):
    settings.POLICYHUB_SIGNUP = "open"
    form = {"name": "Neu", "timezone": "Europe/Berlin"}
    made = logged_in(bob).post("/app/new/", form, headers={"Accept-Language": "de"})
    account = Account.objects.get(slug=made.url.split("/")[2])
    assert account.language == "de"
    save = f"/app/{account.slug}/settings/save/"
    sent = {**form, "week_start": "1", "language": "en"}
    assert logged_in(bob).post(save, sent).status_code == 302
    account.refresh_from_db()
    assert account.language == "en"
    assert logged_in(bob).post(save, {**sent, "language": "tlh"}).status_code == 422
