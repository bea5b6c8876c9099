"""The admin as a whole: actions that need several apps, and pages of other people's.

An app's own `admin.py` shows its models; what an action there would need from a higher
row is attached here. The pages that come with allauth show secrets, so they give way.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import allauth.account.admin
import allauth.mfa.admin
import allauth.socialaccount.admin
import allauth.usersessions.admin
import django.contrib.auth.admin
import django_celery_beat.admin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

import accounts.admin
import alerts.admin
import audit.admin
import gateway.admin
import policies.admin
import retention.admin
import usage.admin
from accounts.administration import Deed, FactAdmin, ModelAdmin, service_action
from accounts.errors import Conflict
from accounts.models import Bot
from policies import services as blocking
from policies.models import Block, Policy
from policies.selectors import bot_pause
from retention.services import prune_policy
from usage import resets

# Named so that what is attached below finds its page registered already.
REGISTERED = (
    accounts.admin,
    alerts.admin,
    audit.admin,
    gateway.admin,
    policies.admin,
    retention.admin,
    usage.admin,
    allauth.account.admin,
    allauth.mfa.admin,
    allauth.socialaccount.admin,
    allauth.usersessions.admin,
    django.contrib.auth.admin,
    django_celery_beat.admin,
)

admin.site.site_header = "PolicyHub"
admin.site.site_title = _("PolicyHub admin")
admin.site.index_title = _("Installation")


# --- Bots ---------------------------------------------------------------------


@service_action(
    description=_("Block bots"),
    question=_("Every call of these bots is refused until somebody unblocks them."),
    done=_("blocked"),
)
def block(bot: Bot, deed: Deed) -> None:
    """Refuse every call of bots."""
    blocking.block_bot(bot=bot, actor=deed.actor, reason=deed.reason, now=deed.now)


@service_action(description=_("Unblock bots"), done=_("unblocked"))
def unblock(bot: Bot, deed: Deed) -> None:
    """Lift what stands against bots alone."""
    if not blocking.unblock_bot(bot=bot, actor=deed.actor, now=deed.now):
        raise Conflict("Nothing that concerns this bot alone blocks it.")


@service_action(
    description=_("Revoke bots"),
    question=_("These bots are revoked, and the keys bound to them stop for good."),
    done=_("revoked"),
)
def revoke(bot: Bot, deed: Deed) -> None:
    """Take bots' right to call."""
    blocking.revoke_bot(bot=bot, actor=deed.actor, reason=deed.reason, now=deed.now)


@service_action(description=_("Restore bots"), done=_("restored"))
def restore(bot: Bot, deed: Deed) -> None:
    """Make revoked or disabled bots active again."""
    blocking.restore_bot(bot=bot, actor=deed.actor, reason=deed.reason, now=deed.now)


admin.site.unregister(Bot)


@admin.register(Bot)
class StoppableBotAdmin(accounts.admin.BotAdmin):
    """Bots, with what stands against them."""

    list_display = ["name", "account", "project", "state", "blocked", "external_id"]
    list_display += ["created_at", "archived_at"]
    fields = [*accounts.admin.BotAdmin.fields, "blocked"]
    readonly_fields = [*accounts.admin.BotAdmin.readonly_fields, "blocked"]
    actions = [block, unblock, revoke, restore]

    @admin.display(description=_("blocked"))
    def blocked(self, bot: Bot) -> str:
        """Say whether a block covers all calls of the bot, and until when."""
        pause = bot_pause(bot.account, bot, now())
        if pause is None:
            return gettext("no")
        if pause.ends_at is None:
            return gettext("blocked")
        return gettext("blocked until %(moment)s UTC") % {
            "moment": f"{pause.ends_at:%Y-%m-%d %H:%M}"
        }


# --- Policies and blocks ------------------------------------------------------


def _reset(policy: Policy, deed: Deed, period: str) -> None:
    if policy.type != Policy.Type.USAGE:
        raise Conflict("Only a usage policy has counters.")
    resets.reset_policy(
        policy=policy,
        period=period,
        actor=deed.actor,
        reason=deed.reason,
        now=deed.now,
    )


_RESET = _(
    "The counters go to 0 by an adjustment, and the blocks they caused are lifted."
)


@service_action(
    description=_("Reset the day’s counters"), question=_RESET, done=_("day reset")
)
def reset_day(policy: Policy, deed: Deed) -> None:
    """Reset counters of calendar days."""
    _reset(policy, deed, "day")


@service_action(
    description=_("Reset the month’s counters"), question=_RESET, done=_("month reset")
)
def reset_month(policy: Policy, deed: Deed) -> None:
    """Reset counters of calendar months."""
    _reset(policy, deed, "month")


@service_action(
    description=_("Reset all counters"), question=_RESET, done=_("all reset")
)
def reset_all(policy: Policy, deed: Deed) -> None:
    """Reset every current counter."""
    _reset(policy, deed, "all")


@service_action(
    description=_("Prune now"),
    question=_("What these retention policies let go of is deleted now, for good."),
    done=_("pruned"),
)
def prune_now(policy: Policy, deed: Deed) -> None:
    """Run retention policies at once."""
    if policy.type != Policy.Type.RETENTION:
        raise Conflict("Only a retention policy prunes.")
    trigger = f"admin {deed.actor.label}"[:60]
    prune_policy(policy=policy, now=deed.now, trigger=trigger, confirmed=True)


@service_action(
    description=_("Clear blocks"),
    question=_("The blocks are lifted, and the counters that caused them go to 0."),
    done=_("cleared"),
)
def clear(block: Block, deed: Deed) -> None:
    """Lift blocks and reset the counters behind them."""
    if block.kind != Block.Kind.POLICY:
        raise Conflict("Unblock or restore the bot instead.")
    resets.clear_block(block=block, actor=deed.actor, reason=deed.reason, now=deed.now)


def attach(model: type[models.Model], *actions: Callable[..., Any]) -> None:
    """Give a model's page actions that its own app cannot know."""
    page = admin.site.get_model_admin(model)
    page.actions = [*(page.actions or ()), *actions]


attach(Policy, reset_day, reset_month, reset_all, prune_now)
attach(Block, clear)

# --- What comes with other apps -----------------------------------------------

for model in (
    Authenticator,
    EmailAddress,
    Group,
    PeriodicTask,
    SocialAccount,
    SocialApp,
    SocialToken,
    UserSession,
):
    admin.site.unregister(model)


@admin.register(LogEntry)
class LogEntryAdmin(FactAdmin):
    """What admins did here; accounts' own history is in the change records."""

    list_display = ["action_time", "user", "content_type", "object_repr"]
    list_display += ["change_message"]
    list_filter = ["action_flag", "content_type"]
    list_select_related = ["user", "content_type"]
    search_fields = ["object_repr", "change_message", "user__email"]
    date_hierarchy = "action_time"
    ordering = ["-action_time", "-id"]


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(django_celery_beat.admin.PeriodicTaskAdmin):
    """The timetable. Its own form brings an inline script, which our policy forbids."""

    change_form_template = "admin/change_form.html"


@admin.register(Authenticator)
class AuthenticatorAdmin(FactAdmin):
    """Second factors, without what is in them."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    date_hierarchy = "created_at"
    ordering = ["-created_at", "-id"]
    fields = ["user", "type", "created_at", "last_used_at"]


@admin.register(EmailAddress)
class EmailAddressAdmin(FactAdmin):
    """Addresses that people proved to be theirs."""

    list_display = ["email", "user", "primary", "verified"]
    list_filter = ["primary", "verified"]
    list_select_related = ["user"]
    search_fields = ["email", "user__email"]
    ordering = ["email"]


@admin.register(SocialAccount)
class SocialAccountAdmin(FactAdmin):
    """Log-ins from elsewhere."""

    list_display = ["user", "provider", "uid", "last_login"]
    list_filter = ["provider"]
    list_select_related = ["user"]
    search_fields = ["uid", "user__email"]
    date_hierarchy = "date_joined"
    ordering = ["-id"]
    fields = ["user", "provider", "uid", "last_login", "date_joined"]


@admin.register(UserSession)
class UserSessionAdmin(FactAdmin):
    """Sessions, without the key that would open one."""

    list_display = ["user", "created_at", "last_seen_at", "ip", "user_agent"]
    list_select_related = ["user"]
    search_fields = ["user__email", "ip"]
    date_hierarchy = "last_seen_at"
    ordering = ["-last_seen_at", "-id"]
    fields = ["user", "created_at", "last_seen_at", "ip", "user_agent"]


if TYPE_CHECKING:
    SocialAppFormBase = forms.ModelForm[SocialApp]
else:
    SocialAppFormBase = forms.ModelForm


class SecretInput(forms.PasswordInput):
    """Takes a secret and never shows it again."""

    def __init__(self) -> None:
        super().__init__(attrs={"autocomplete": "off", "class": "vTextField"})


class SocialAppForm(SocialAppFormBase):
    """An OpenID Connect provider; an empty secret keeps the one that is stored."""

    class Meta:
        model = SocialApp
        fields = ["provider", "provider_id", "name", "client_id", "secret", "settings"]
        widgets = {"secret": SecretInput}

    def clean_secret(self) -> str:
        """Keep the stored secret unless another one was typed."""
        return self.cleaned_data["secret"] or self.instance.secret


@admin.register(SocialApp)
class SocialAppAdmin(ModelAdmin):
    """Where people may log in from, besides their password."""

    form = SocialAppForm
    list_display = ["name", "provider", "provider_id", "client_id"]
    search_fields = ["name", "provider_id"]
    ordering = ["name", "id"]
