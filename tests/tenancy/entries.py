"""Who may do what: one line for every route. A route without a line fails the tests.

The letters are those who may: o owner, p operator, a auditor, v viewer (persons, in
their session), k a key of the account, j a key of the project that the row lies in
(both with every scope). Nobody else may, and to strangers it does not exist.
"""

# What has a view below /api/v1, and what the lane answers. `lane` has no sessions.
API = """
GET    /api/v1/alerts                                        opavkj
GET    /api/v1/alerts/{alert_id}                             opavkj
POST   /api/v1/alerts/{alert_id}/ack                         opkj
POST   /api/v1/alerts/{alert_id}/snooze                      opkj
GET    /api/v1/audit/changes                                 opakj
GET    /api/v1/audit/changes/export                          opakj
GET    /api/v1/audit/decisions                               opakj
GET    /api/v1/audit/decisions/{decision_id}                 opakj
POST   /api/v1/authorize                                     kj
GET    /api/v1/bots                                          opavkj
POST   /api/v1/bots                                          opkj
GET    /api/v1/bots/{bot_id}                                 opavkj
PUT    /api/v1/bots/{bot_id}                                 opkj
PATCH  /api/v1/bots/{bot_id}                                 opkj
DELETE /api/v1/bots/{bot_id}                                 opkj
POST   /api/v1/bots/{bot_id}/block                           opkj
POST   /api/v1/bots/{bot_id}/restore                         opkj
POST   /api/v1/bots/{bot_id}/revoke                          opkj
POST   /api/v1/bots/{bot_id}/unblock                         opkj
GET    /api/v1/budget                                        kj
GET    /api/v1/conversations                                 opavkj
POST   /api/v1/conversations                                 opkj
GET    /api/v1/conversations/{conversation_id}               opavkj
DELETE /api/v1/conversations/{conversation_id}               opkj
GET    /api/v1/conversations/{conversation_id}/messages      opavkj
POST   /api/v1/conversations/{conversation_id}/messages      opkj
GET    /api/v1/keys                                          opakj
POST   /api/v1/keys                                          okj
GET    /api/v1/keys/{key_id}                                 opakj
POST   /api/v1/keys/{key_id}/revoke                          okj
POST   /api/v1/keys/{key_id}/rotate                          okj
GET    /api/v1/policies                                      opavkj
POST   /api/v1/policies                                      opkj
GET    /api/v1/policies/{policy_id}                          opavkj
PUT    /api/v1/policies/{policy_id}                          opkj
PATCH  /api/v1/policies/{policy_id}                          opkj
DELETE /api/v1/policies/{policy_id}                          opkj
GET    /api/v1/policies/{policy_id}/blocks                   opavkj
POST   /api/v1/policies/{policy_id}/blocks/{block_id}/clear  opkj
GET    /api/v1/policies/{policy_id}/history                  opavkj
POST   /api/v1/policies/{policy_id}/reset                    opkj
POST   /api/v1/policies/{policy_id}/restore                  opkj
GET    /api/v1/policies/{policy_id}/revisions                opavkj
GET    /api/v1/policies/{policy_id}/usage                    opavkj
GET    /api/v1/prices                                        opavkj
POST   /api/v1/prices                                        opk
GET    /api/v1/prices/lookup                                 opavkj
GET    /api/v1/prices/{price_id}                             opavkj
PATCH  /api/v1/prices/{price_id}                             opk
DELETE /api/v1/prices/{price_id}                             opk
GET    /api/v1/projects                                      opavkj
POST   /api/v1/projects                                      opk
GET    /api/v1/projects/{project_id}                         opavkj
PATCH  /api/v1/projects/{project_id}                         opk
DELETE /api/v1/projects/{project_id}                         opk
POST   /api/v1/reservations/{id}/release                     kj
POST   /api/v1/usage                                         kj
GET    /api/v1/conversations/{conversation_id}/messages/{message_id} opavkj
DELETE /api/v1/conversations/{conversation_id}/messages/{message_id} opkj
GET    /api/v1/retention/holds                               opavk
POST   /api/v1/retention/holds                               opk
GET    /api/v1/retention/holds/{hold_id}                     opavk
POST   /api/v1/retention/holds/{hold_id}/release             opk
GET    /api/v1/retention/pending                             opavkj
POST   /api/v1/retention/preview                             opavkj
GET    /api/v1/retention/runs                                opavkj
GET    /api/v1/retention/runs/{run_id}                       opavkj
POST   /api/v1/retention/runs/{run_id}/confirm               opk
POST   /api/v1/retention/runs/{run_id}/pause                 opk
POST   /api/v1/retention/runs/{run_id}/resume                opk
GET    /api/v1/audit/export                                  opakj
POST   /api/v1/policies/simulate                             opavkj
POST   /api/v1/policies/{policy_id}/simulate                 opavkj
GET    /api/v1/retention/runs/export                         opavk
GET    /api/v1/retention/signing-key                         opavkj
GET    /api/v1/upstreams                                     opavkj
POST   /api/v1/upstreams                                     opkj
GET    /api/v1/upstreams/{upstream_id}                       opavkj
PUT    /api/v1/upstreams/{upstream_id}                       opkj
PATCH  /api/v1/upstreams/{upstream_id}                       opkj
DELETE /api/v1/upstreams/{upstream_id}                       opkj
DELETE /api/v1/users/{user}/data                             ok
GET    /api/v1/usage/attribution                             opavkj
GET    /api/v1/usage/series                                  opavkj
POST   /v1/chat/completions                                  kj
POST   /v1/embeddings                                        kj
GET    /v1/models                                            kj
GET    /v1/models/{model}                                    kj
GET    /api/v1/webhooks                                      opavk
POST   /api/v1/webhooks                                      opk
GET    /api/v1/webhooks/{webhook_id}                         opavk
PUT    /api/v1/webhooks/{webhook_id}                         opk
PATCH  /api/v1/webhooks/{webhook_id}                         opk
DELETE /api/v1/webhooks/{webhook_id}                         opk
GET    /api/v1/webhooks/{webhook_id}/deliveries              opavk
GET    /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id} opavk
POST   /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver opk
POST   /api/v1/webhooks/{webhook_id}/redeliver               opk
POST   /api/v1/webhooks/{webhook_id}/rotate                  opk
POST   /api/v1/webhooks/{webhook_id}/test                    opk
GET    /api/v1/policy/list                                   opavkj
POST   /api/v1/policy/create                                 opkj
GET    /api/v1/policy/{policy_id}/fetch                      opavkj
POST   /api/v1/policy/{policy_id}/update                     opkj
POST   /api/v1/policy/{policy_id}/delete                     opkj
GET    /api/v1/policy/{policy_id}/block/list                 opavkj
POST   /api/v1/policy/{policy_id}/block/clear                opkj
"""

# The pages of an account. GET and POST are both tried; 405 is never a leak.
PAGES = """
/app/{slug}/                                                 opav
/app/{slug}/alerts/                                          opav
/app/{slug}/alerts/recipients/                               opa
/app/{slug}/alerts/recipients/test/                          op
/app/{slug}/alerts/{alert_id}/                               opav
/app/{slug}/alerts/{alert_id}/ack/                           op
/app/{slug}/alerts/{alert_id}/snooze/                        op
/app/{slug}/alerts/{alert_id}/wake/                          op
/app/{slug}/bots/                                            opav
/app/{slug}/bots/new/                                        op
/app/{slug}/bots/{bot_id}/                                   opav
/app/{slug}/bots/{bot_id}/archive/                           op
/app/{slug}/bots/{bot_id}/block/                             op
/app/{slug}/bots/{bot_id}/edit/                              op
/app/{slug}/bots/{bot_id}/restore/                           op
/app/{slug}/bots/{bot_id}/revoke/                            op
/app/{slug}/bots/{bot_id}/unblock/                           op
/app/{slug}/conversations/                                   opav
/app/{slug}/conversations/{conversation_id}/                 opav
/app/{slug}/conversations/{conversation_id}/delete/          op
/app/{slug}/decisions/                                       opa
/app/{slug}/decisions/changes/                               opa
/app/{slug}/decisions/{decision_id}/                         opa
/app/{slug}/deliveries/{delivery_id}/resend/                 op
/app/{slug}/gauges/                                          opav
/app/{slug}/gateway/                                         opav
/app/{slug}/gateway/try/                                     opav
/app/{slug}/gateway/upstreams/new/                           op
/app/{slug}/gateway/upstreams/{upstream_id}/edit/            op
/app/{slug}/gateway/upstreams/{upstream_id}/archive/         op
/app/{slug}/settings/                                        opav
/app/{slug}/standing/                                        opav
/app/{slug}/usage/                                           opav
/app/{slug}/views/                                           opav
/app/{slug}/usage/export.{form}                              opav
/app/{slug}/settings/save/                                   o
/app/{slug}/settings/invite/                                 o
/app/{slug}/settings/invitations/{invitation_id}/revoke/     o
/app/{slug}/settings/members/{member_id}/role/               o
/app/{slug}/settings/members/{member_id}/remove/             o
/app/{slug}/keys/                                            opa
/app/{slug}/keys/new/                                        op
/app/{slug}/keys/{key_id}/revoke/                            op
/app/{slug}/keys/{key_id}/rotate/                            op
/app/{slug}/policies/                                        opav
/app/{slug}/policies/new/                                    op
/app/{slug}/policies/new/{kind}/                             op
/app/{slug}/policies/new/{kind}/past/                        op
/app/{slug}/policies/new/{kind}/preview/                     op
/app/{slug}/policies/{policy_id}/past/                       op
/app/{slug}/policies/{policy_id}/preview/                    op
/app/{slug}/policies/{policy_id}/                            opav
/app/{slug}/policies/{policy_id}/archive/                    op
/app/{slug}/policies/{policy_id}/blocks/{block_id}/clear/    op
/app/{slug}/policies/new/{kind}/slide/{number}/              op
/app/{slug}/policies/{policy_id}/slide/{number}/             op
/app/{slug}/policies/mode/                                   op
/app/{slug}/policies/{policy_id}/mode/                       op
/app/{slug}/policies/{policy_id}/edit/                       op
/app/{slug}/policies/{policy_id}/gauges/                     opav
/app/{slug}/policies/{policy_id}/recent/                     opa
/app/{slug}/policies/{policy_id}/reset/                      op
/app/{slug}/policies/{policy_id}/restore/{number}/           op
/app/{slug}/retention/                                       opav
/app/{slug}/retention/due/                                   opav
/app/{slug}/retention/erase/                                 o
/app/{slug}/retention/holds/                                 opav
/app/{slug}/retention/holds/new/                             op
/app/{slug}/retention/holds/{hold_id}/                       opav
/app/{slug}/retention/holds/{hold_id}/release/               op
/app/{slug}/retention/policies/{retention_policy_id}/        opav
/app/{slug}/retention/policies/{retention_policy_id}/dry-run.csv opav
/app/{slug}/retention/policies/{retention_policy_id}/dry-run.json opav
/app/{slug}/retention/policies/{retention_policy_id}/due/    opav
/app/{slug}/retention/policies/{retention_policy_id}/pause/  op
/app/{slug}/retention/policies/{retention_policy_id}/resume/ op
/app/{slug}/retention/runs/                                  opav
/app/{slug}/retention/runs/export/                           opav
/app/{slug}/retention/runs/{run_id}/                         opav
/app/{slug}/retention/runs/{run_id}/confirm/                 op
/app/{slug}/retention/runs/{run_id}/pause/                   op
/app/{slug}/retention/runs/{run_id}/resume/                  op
/app/{slug}/retention/runs/{run_id}/progress/                opav
/app/{slug}/sample/                                          o
/app/{slug}/sample/progress/                                 opav
/app/{slug}/sample/remove/                                   o
/app/{slug}/status/                                          opav
/app/{slug}/try/                                             opav
/app/{slug}/webhooks/                                        opav
/app/{slug}/webhooks/new/                                    op
/app/{slug}/webhooks/{webhook_id}/                           opav
/app/{slug}/webhooks/{webhook_id}/delete/                    op
/app/{slug}/webhooks/{webhook_id}/deliveries/{webhook_delivery_id}/redeliver/ op
/app/{slug}/webhooks/{webhook_id}/disable/                   op
/app/{slug}/webhooks/{webhook_id}/edit/                      op
/app/{slug}/webhooks/{webhook_id}/enable/                    op
/app/{slug}/webhooks/{webhook_id}/redeliver/                 op
/app/{slug}/webhooks/{webhook_id}/rotate/                    op
/app/{slug}/webhooks/{webhook_id}/test/                      op
/app/{slug}/start/                                           op
/app/{slug}/start/bot/                                       op
/app/{slug}/start/event/                                     op
/app/{slug}/start/finish/                                    op
/app/{slug}/start/key/                                       op
/app/{slug}/start/simulate/                                  op
"""

# Open to everybody, or about the visitor alone; searched for canaries all the same.
OPEN = (
    "/",
    "/accounts/",
    "/app/",
    "/app/new/",
    "/join/{token}/",
    "/confirm/{token}/",
    "/stop-mail/{token}/",
    "/theme/",
    "/language/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/schema",
    "/api/docs",
)
# For the people who run the installation; nobody here is one of them.
STAFF = "/admin/"

POLICY = {
    "type": "usage",
    "name": "Cap",
    "scope": {"bot": "@bot_id"},
    "limits": [{"metric": "calls", "threshold": 9, "window": {"kind": "lifetime"}}],
    "actions": {"warn": {}},
}
CHATBOTKIT = {
    "type": "usage",
    "name": "Cap",
    "botId": "@bot_id",
    "config": {
        "metric": "tokens",
        "threshold": 9,
        "windowInSeconds": 3600,
        "actions": {"block": {"durationInSeconds": 3600}},
    },
}
UPSTREAM = {"name": "New", "base_url": "https://api.example.com/v1"}
# What is sent; `@name` stands for the id of a row. No line means `{}`.
BODIES = {
    "POST /api/v1/authorize": {"bot": "@bot_id", "estimate": {"tokens": 1}},
    "POST /api/v1/alerts/{alert_id}/snooze": {"until": None},
    "POST /api/v1/bots": {"name": "New", "project": "@project_id"},
    "PUT /api/v1/bots/{bot_id}": {"name": "Renamed", "project": "@project_id"},
    "PATCH /api/v1/bots/{bot_id}": {"project": "@project_id"},
    "POST /api/v1/conversations": {"bot": "@bot_id", "user": "u"},
    "POST /api/v1/conversations/{conversation_id}/messages": {
        "role": "user",
        "text": "Hello",
    },
    "POST /api/v1/keys": {"scopes": ["decide"], "bot": "@bot_id"},
    "POST /api/v1/policies": POLICY,
    "PUT /api/v1/policies/{policy_id}": POLICY,
    "PATCH /api/v1/policies/{policy_id}": {"scope": {"bot": "@bot_id"}},
    "POST /api/v1/policies/{policy_id}/reset": {"period": "all"},
    "POST /api/v1/policies/{policy_id}/restore": {"revision": 1},
    "POST /api/v1/prices": {"model": "another", "total_per_million": "1.5"},
    "PATCH /api/v1/prices/{price_id}": {"total_per_million": "2.5"},
    "POST /api/v1/projects": {"name": "New"},
    "PATCH /api/v1/projects/{project_id}": {"name": "Renamed"},
    "POST /api/v1/policy/create": CHATBOTKIT,
    "POST /api/v1/policy/{policy_id}/update": {"name": "Renamed"},
    "POST /v1/chat/completions": {
        "model": "echo",
        "messages": [{"role": "user", "content": "Hello"}],
    },
    "POST /v1/embeddings": {"model": "echo-embedding", "input": "Hello"},
    "POST /api/v1/retention/holds": {"bot": "@bot_id", "reason": "Case 7"},
    "POST /api/v1/retention/preview": {"policy": "@retention_policy_id"},
    "POST /api/v1/retention/runs/{run_id}/confirm": {"confirm": 1},
    "POST /api/v1/policies/simulate": {"policy": POLICY, "days": 1},
    "POST /api/v1/policies/{policy_id}/simulate": {"days": 1},
    "POST /api/v1/upstreams": UPSTREAM,
    "PUT /api/v1/upstreams/{upstream_id}": UPSTREAM,
    "PATCH /api/v1/upstreams/{upstream_id}": {"name": "Renamed"},
    "POST /api/v1/webhooks": {"url": "https://hooks.example.com/"},
    "PUT /api/v1/webhooks/{webhook_id}": {"url": "https://hooks.example.com/"},
    "PATCH /api/v1/webhooks/{webhook_id}": {"description": "Renamed"},
    "POST /api/v1/usage": {"bot": "@bot_id", "tokens": 1},
}
# Where a parameter of one name means another kind of row.
ELSEWHERE = {
    ("/webhooks/", "delivery_id"): "webhook_delivery_id",
    ("/api/v1/policy/", "policy_id"): "chatbotkit_id",
}
# Of a route without a line, the rows that it names in headers.
TARGETS = {"X-Policy-Target": "bot_id"}
QUERIES = {
    "GET /api/v1/budget": "bot=@bot_id",
    "GET /api/v1/prices/lookup": "model=gpt-4o",
}


def api_lines():
    """The lines of API: `METHOD path` and the letters."""
    for line in API.split("\n"):
        if line:
            method, path, letters = line.split()
            yield f"{method} {path}", letters


def page_lines():
    """The lines of PAGES."""
    return [tuple(line.split()) for line in PAGES.split("\n") if line]
