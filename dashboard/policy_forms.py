"""The forms of retention and content policies, and which form is for which type."""

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext_lazy as _

from dashboard import policy_choices as choices
from dashboard import policy_fields as fields
from dashboard.policy_draft import Document, PolicyForm
from dashboard.usage_form import UsageForm


class RetentionForm(PolicyForm):
    """A retention policy."""

    type_name = "retention"

    rollout_mode = fields.radio(_("Mode"), choices.RETENTION_ROLLOUT)
    target = fields.choice(_("Delete"), choices.TARGETS)
    max_age_days = fields.text(_("After (days)"), "", inputmode="numeric")

    def shown(self, document: Document) -> Document:
        rule = document.get("retention", {"target": "conversations"})
        return {**super().shown(document), **rule}

    def document(self) -> Document:
        typed = fields.typed(self)
        rule = {"target": typed["target"], "max_age_days": typed["max_age_days"]}
        rule["max_age_days"] = fields.number(rule["max_age_days"])
        return {**super().document(), "retention": rule}


class ContentForm(PolicyForm):
    """A content policy of the gateway."""

    type_name = "content"

    rollout_mode = fields.radio(_("Mode"), choices.CONTENT_ROLLOUT)
    model = fields.text(_("Model"), _("Optional. May end with *, such as gpt-4*."))
    direction = fields.choice(_("Look at"), choices.DIRECTIONS)
    action = fields.radio(_("When something is found"), choices.CONTENT_ACTIONS)
    categories = fields.several(_("Look for"), choices.CATEGORIES)
    denylist = fields.long_text(
        _("And for these phrases"),
        _(
            "One a line. RE2 patterns too, such as proj-\\d+; re: in front says that"
            " a line is one."
        ),
    )
    allowlist = fields.long_text(_("But never mind these"), _("One a line."))
    rollout_percent = fields.text(
        _("Share of users (per cent)"), "", inputmode="numeric"
    )

    def shown(self, document: Document) -> Document:
        content = document.get("content", {"direction": "both", "action": "redact"})
        return {
            **super().shown(document),
            "direction": content["direction"],
            "action": content["action"],
            "categories": content.get("categories", []),
            "denylist": "\n".join(content.get("denylist", [])),
            "allowlist": "\n".join(content.get("allowlist", [])),
            "rollout_percent": document.get("rollout_percent", 100),
        }

    def document(self) -> Document:
        typed = fields.typed(self)
        return {
            **super().document(),
            "rollout_percent": fields.number(typed["rollout_percent"]),
            "content": {
                "direction": typed["direction"],
                "action": typed["action"],
                "categories": typed["categories"],
                "denylist": _lines(typed["denylist"]),
                "allowlist": _lines(typed["allowlist"]),
            },
        }


FORMS: Final[Mapping[str, type[PolicyForm]]] = {
    "usage": UsageForm,
    "retention": RetentionForm,
    "content": ContentForm,
}


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
