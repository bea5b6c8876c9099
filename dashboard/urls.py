"""The addresses of the pages."""

from django.urls import URLPattern, URLResolver, include, path

from dashboard import themes
from dashboard.pages import (
    alerts,
    bots,
    confirmations,
    conversations,
    decisions,
    doors,
    gateway,
    keys,
    overview,
    policies,
    policy_edits,
    retention,
    settings,
    start,
)

app_name = "dashboard"

account_pages: list[URLPattern | URLResolver] = [
    path("", overview.overview, name="overview"),
    path("gauges/", overview.gauges, name="gauges"),
    path("start/", start.start, name="start"),
    path("start/event/", start.event, name="start-event"),
    path("start/bot/", start.bot, name="start-bot"),
    path("start/key/", start.key, name="start-key"),
    path("start/simulate/", start.event_simulated, name="start-simulate"),
    path("start/finish/", start.finish, name="start-finish"),
    path("policies/", policies.listing, name="policies"),
    path("policies/new/", policy_edits.choose, name="policy-new"),
    path("policies/new/<slug:kind>/", policy_edits.create, name="policy-create"),
    path("policies/<slug:policy_id>/", policies.detail, name="policy"),
    path("policies/<slug:policy_id>/edit/", policy_edits.edit, name="policy-edit"),
    path("policies/<slug:policy_id>/reset/", policies.reset, name="policy-reset"),
    path("policies/<slug:policy_id>/archive/", policies.archive, name="policy-archive"),
    path(
        "policies/<slug:policy_id>/restore/<int:number>/",
        policies.restore,
        name="policy-restore",
    ),
    path(
        "policies/<slug:policy_id>/blocks/<slug:block_id>/clear/",
        policies.clear,
        name="block-clear",
    ),
    path("bots/", bots.listing, name="bots"),
    path("bots/new/", bots.create, name="bot-new"),
    path("bots/<slug:bot_id>/", bots.detail, name="bot"),
    path("bots/<slug:bot_id>/edit/", bots.edit, name="bot-edit"),
    path("bots/<slug:bot_id>/block/", bots.block, name="bot-block"),
    path("bots/<slug:bot_id>/unblock/", bots.unblock, name="bot-unblock"),
    path("bots/<slug:bot_id>/revoke/", bots.revoke, name="bot-revoke"),
    path("bots/<slug:bot_id>/restore/", bots.restore, name="bot-restore"),
    path("bots/<slug:bot_id>/archive/", bots.archive, name="bot-archive"),
    path("alerts/", alerts.listing, name="alerts"),
    path("alerts/<slug:alert_id>/", alerts.detail, name="alert"),
    path("alerts/<slug:alert_id>/ack/", alerts.acknowledge, name="alert-ack"),
    path("deliveries/<slug:delivery_id>/resend/", alerts.resend, name="resend"),
    path("conversations/", conversations.listing, name="conversations"),
    path(
        "conversations/<slug:conversation_id>/",
        conversations.detail,
        name="conversation",
    ),
    path("retention/", retention.overview, name="retention"),
    path("decisions/", decisions.listing, name="decisions"),
    path("decisions/<slug:decision_id>/", decisions.detail, name="decision"),
    path("keys/", keys.listing, name="keys"),
    path("keys/new/", keys.create, name="key-new"),
    path("keys/<slug:key_id>/revoke/", keys.revoke, name="key-revoke"),
    path("keys/<slug:key_id>/rotate/", keys.rotate, name="key-rotate"),
    path("gateway/", gateway.overview, name="gateway"),
    path("gateway/try/", gateway.playground, name="playground"),
    path("gateway/upstreams/new/", gateway.create, name="upstream-new"),
    path(
        "gateway/upstreams/<slug:upstream_id>/edit/",
        gateway.edit,
        name="upstream-edit",
    ),
    path(
        "gateway/upstreams/<slug:upstream_id>/archive/",
        gateway.archive,
        name="upstream-archive",
    ),
    path("settings/", settings.settings, name="settings"),
    path("settings/save/", settings.save, name="settings-save"),
    path("settings/invite/", settings.invite, name="invite"),
    path(
        "settings/invitations/<slug:invitation_id>/revoke/",
        settings.uninvite,
        name="uninvite",
    ),
    path(
        "settings/members/<slug:member_id>/role/",
        settings.change_role,
        name="member-role",
    ),
    path(
        "settings/members/<slug:member_id>/remove/",
        settings.remove,
        name="member-remove",
    ),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", doors.landing, name="landing"),
    path("theme/", themes.choose, name="theme"),
    path("app/", doors.accounts, name="accounts"),
    path("app/new/", doors.create, name="account-new"),
    path("join/<str:token>/", doors.join, name="join"),
    path("confirm/<str:token>/", confirmations.confirm, name="confirm-recipient"),
    path("app/<slug:slug>/", include(account_pages)),
]
