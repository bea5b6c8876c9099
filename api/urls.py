"""The paths of the API, below `/api/`. The lane answers its hot routes before these."""

from django.urls import URLPattern, URLResolver, path, re_path

from api import (
    alerts,
    audit,
    bot_actions,
    bots,
    chatbotkit,
    chatbotkit_blocks,
    chatbotkit_endpoint,
    conversations,
    keys,
    openapi,
    policies,
    policy_actions,
    policy_history,
    prices,
    projects,
    reports,
    retention_urls,
    simulations,
    webhooks,
)

_BOT = "v1/bots/<str:bot_id>"
_KEY = "v1/keys/<str:key_id>"
_POLICY = "v1/policies/<str:policy_id>"
_CHATBOTKIT = "v1/policy/<str:policy_id>"
_ALERT = "v1/alerts/<str:alert_id>"
_WEBHOOK = "v1/webhooks/<str:webhook_id>"
_DELIVERY = f"{_WEBHOOK}/deliveries/<str:delivery_id>"
_CONVERSATION = "v1/conversations/<str:conversation_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema", openapi.SchemaView.as_view(), name="schema"),
    path("docs", openapi.docs, name="docs"),
    path("v1/bots", bots.Bots.as_view()),
    path(_BOT, bots.OneBot.as_view()),
    path(f"{_BOT}/block", bot_actions.BlockBot.as_view()),
    path(f"{_BOT}/unblock", bot_actions.UnblockBot.as_view()),
    path(f"{_BOT}/revoke", bot_actions.RevokeBot.as_view()),
    path(f"{_BOT}/restore", bot_actions.RestoreBot.as_view()),
    path("v1/projects", projects.Projects.as_view()),
    path("v1/projects/<str:project_id>", projects.OneProject.as_view()),
    path("v1/keys", keys.Keys.as_view()),
    path(_KEY, keys.OneKey.as_view()),
    path(f"{_KEY}/rotate", keys.RotateKey.as_view()),
    path(f"{_KEY}/revoke", keys.RevokeKey.as_view()),
    path("v1/policies", policies.Policies.as_view()),
    path("v1/policies/simulate", simulations.Simulations.as_view()),
    path(f"{_POLICY}/simulate", simulations.PolicySimulation.as_view()),
    path(_POLICY, policies.OnePolicy.as_view()),
    path(f"{_POLICY}/usage", policy_actions.PolicyUsage.as_view()),
    path(f"{_POLICY}/revisions", policy_actions.PolicyRevisions.as_view()),
    path(f"{_POLICY}/restore", policy_actions.RestorePolicy.as_view()),
    path(f"{_POLICY}/reset", policy_actions.ResetPolicy.as_view()),
    path(f"{_POLICY}/history", policy_history.PolicyHistory.as_view()),
    path(f"{_POLICY}/blocks", policy_actions.PolicyBlocks.as_view()),
    path(f"{_POLICY}/blocks/<str:block_id>/clear", policy_actions.ClearBlock.as_view()),
    path("v1/prices", prices.Prices.as_view()),
    path("v1/prices/lookup", prices.PriceLookup.as_view()),
    path("v1/prices/<str:price_id>", prices.OnePrice.as_view()),
    path("v1/policy/list", chatbotkit.ListPolicies.as_view()),
    path("v1/policy/create", chatbotkit.CreatePolicy.as_view()),
    path(f"{_CHATBOTKIT}/fetch", chatbotkit.FetchPolicy.as_view()),
    path(f"{_CHATBOTKIT}/update", chatbotkit.UpdatePolicy.as_view()),
    path(f"{_CHATBOTKIT}/delete", chatbotkit.DeletePolicy.as_view()),
    path(f"{_CHATBOTKIT}/block/list", chatbotkit_blocks.ListBlocks.as_view()),
    path(f"{_CHATBOTKIT}/block/clear", chatbotkit_blocks.ClearBlocks.as_view()),
    re_path(r"^v1/policy(?:/.*)?$", chatbotkit_endpoint.no_route),
    path("v1/usage/series", reports.Series.as_view()),
    path("v1/usage/attribution", reports.Attribution.as_view()),
    path("v1/conversations", conversations.Conversations.as_view()),
    path(_CONVERSATION, conversations.OneConversation.as_view()),
    path(f"{_CONVERSATION}/messages", conversations.Messages.as_view()),
    *retention_urls.urlpatterns,
    path("v1/alerts", alerts.Alerts.as_view()),
    path(_ALERT, alerts.OneAlert.as_view()),
    path(f"{_ALERT}/ack", alerts.AcknowledgeAlert.as_view()),
    path("v1/webhooks", webhooks.Webhooks.as_view()),
    path(_WEBHOOK, webhooks.OneWebhook.as_view()),
    path(f"{_WEBHOOK}/rotate", webhooks.RotateWebhook.as_view()),
    path(f"{_WEBHOOK}/test", webhooks.TestWebhook.as_view()),
    path(f"{_WEBHOOK}/redeliver", webhooks.RedeliverFailed.as_view()),
    path(f"{_WEBHOOK}/deliveries", webhooks.WebhookDeliveries.as_view()),
    path(_DELIVERY, webhooks.OneWebhookDelivery.as_view()),
    path(f"{_DELIVERY}/redeliver", webhooks.RedeliverOne.as_view()),
    path("v1/audit/decisions", audit.Decisions.as_view()),
    path("v1/audit/decisions/<str:decision_id>", audit.OneDecision.as_view()),
    path("v1/audit/changes", audit.Changes.as_view()),
    re_path(r"^.*$", openapi.no_route),
]
