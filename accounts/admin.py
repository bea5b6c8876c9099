"""The admin's pages of accounts, people, projects, bots and keys."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.administration import Deed, FactAdmin, ServiceAdmin, service_action
from accounts.models import (
    Account,
    ApiKey,
    Bot,
    ChangeRecord,
    Heartbeat,
    Invitation,
    Member,
    Person,
    Project,
    SavedView,
)
from accounts.services import (
    add_member,
    archive_project,
    revoke_key,
    update_bot,
    update_project,
)
from accounts.services.administration import (
    create_person,
    remove_member,
    update_account,
    update_person,
)


@admin.register(Account)
class AccountAdmin(ServiceAdmin):
    """Accounts are made by `createaccount`; here their plan and settings change."""

    list_display = ["name", "slug", "plan", "timezone", "stores_text", "created_at"]
    list_filter = ["plan", "stores_text"]
    search_fields = ["slug", "name", "id"]
    date_hierarchy = "created_at"
    ordering = ["slug"]
    fields = [
        "public_id",
        "slug",
        "name",
        "plan",
        "timezone",
        "week_start",
        "language",
        "stores_text",
        "version",
        "created_at",
    ]
    readonly_fields = ["public_id", "slug", "version", "created_at"]

    def formfield_for_dbfield(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Offer the languages that PolicyHub speaks."""
        if db_field.name == "language":
            kwargs["widget"] = forms.Select(choices=[("", "—"), *settings.LANGUAGES])
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """An account comes with its owner, so a form for one alone would mislead."""
        return False

    def write(
        self, row: Account, changes: dict[str, Any], deed: Deed, *, new: bool
    ) -> Account:
        """Save by the service."""
        return update_account(
            account=row, changes=changes, actor=deed.actor, now=deed.now
        )


@admin.register(Person)
class PersonAdmin(ServiceAdmin):
    """People. Passwords are set by themselves, from a link in an e-mail."""

    list_display = ["email", "name", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser"]
    search_fields = ["email", "name"]
    date_hierarchy = "date_joined"
    ordering = ["email"]
    fields = [
        "email",
        "name",
        "is_active",
        "is_superuser",
        "public_id",
        "date_joined",
        "last_login",
    ]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Person | None = None
    ) -> list[str]:
        """An address is who somebody is, so it stays as it was given."""
        facts = ["public_id", "date_joined", "last_login"]
        return facts if obj is None else ["email", *facts]

    def write(
        self, row: Person, changes: dict[str, Any], deed: Deed, *, new: bool
    ) -> Person:
        """Save by the service."""
        if not new:
            return update_person(
                person=row, changes=changes, actor=deed.actor, now=deed.now
            )
        return create_person(
            email=row.email,
            name=row.name,
            is_superuser=row.is_superuser,
            now=deed.now,
        )


@service_action(
    description=_("Remove from the account"),
    question=_("These people will no longer see the account."),
    done=_("removed"),
)
def remove(member: Member, deed: Deed) -> None:
    """Take people out of their accounts."""
    remove_member(member=member, actor=deed.actor, now=deed.now, reason=deed.reason)


@admin.register(Invitation)
class InvitationAdmin(FactAdmin):
    """Who was asked into which account, and what became of it."""

    list_display = ["email", "account", "role", "created_at", "expires_at"]
    list_filter = ["role", "account"]
    list_select_related = ["account"]
    search_fields = ["email", "account__slug"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]


@admin.register(Member)
class MemberAdmin(ServiceAdmin):
    """Who has which role where."""

    list_display = ["person", "account", "role", "created_at"]
    list_filter = ["role", "account"]
    list_select_related = ["person", "account"]
    search_fields = ["person__email", "account__slug"]
    autocomplete_fields = ["account", "person"]
    date_hierarchy = "created_at"
    ordering = ["account", "id"]
    fields = ["account", "person", "role"]
    actions = [remove]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Member | None = None
    ) -> list[str]:
        """A membership's role changes, its account and person do not."""
        return [] if obj is None else ["account", "person"]

    def write(
        self, row: Member, changes: dict[str, Any], deed: Deed, *, new: bool
    ) -> Member:
        """Save by the service."""
        return add_member(
            account=row.account,
            person=row.person,
            role=row.role,
            actor=deed.actor,
            now=deed.now,
        )


@service_action(
    description=_("Archive projects"),
    question=_("Archived projects come never back, and their keys stop at once."),
    done=_("archived"),
)
def archive(project: Project, deed: Deed) -> None:
    """Stop projects for good."""
    archive_project(project=project, actor=deed.actor, now=deed.now, reason=deed.reason)


@admin.register(Project)
class ProjectAdmin(ServiceAdmin):
    """Projects, made by their account's people."""

    list_display = ["name", "account", "external_id", "created_at", "archived_at"]
    list_filter = [("archived_at", admin.EmptyFieldListFilter), "account"]
    list_select_related = ["account"]
    search_fields = ["name", "external_id", "id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    fields = [
        "public_id",
        "account",
        "name",
        "external_id",
        "description",
        "created_at",
        "updated_at",
        "archived_at",
    ]
    readonly_fields = [
        "public_id",
        "account",
        "created_at",
        "updated_at",
        "archived_at",
    ]
    actions = [archive]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Its account's people make it."""
        return False

    def write(
        self, row: Project, changes: dict[str, Any], deed: Deed, *, new: bool
    ) -> Project:
        """Save by the service."""
        return update_project(
            project=row, changes=changes, actor=deed.actor, now=deed.now
        )


@admin.register(Bot)
class BotAdmin(ServiceAdmin):
    """Bots. What stops them is attached by the app that knows of blocks."""

    list_display = ["name", "account", "project", "external_id", "state"]
    list_display += ["created_at", "archived_at"]
    list_filter = ["state", ("archived_at", admin.EmptyFieldListFilter), "account"]
    list_select_related = ["account", "project"]
    list_per_page = 25
    search_fields = ["name", "external_id", "owner", "id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    fields = [
        "public_id",
        "account",
        "project",
        "name",
        "external_id",
        "owner",
        "description",
        "state",
        "revision",
        "created_at",
        "updated_at",
        "archived_at",
    ]
    readonly_fields = ["public_id", "account", "project", "state", "revision"]
    readonly_fields += ["created_at", "updated_at", "archived_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Its account's people make it."""
        return False

    def write(self, row: Bot, changes: dict[str, Any], deed: Deed, *, new: bool) -> Bot:
        """Save by the service."""
        return update_bot(bot=row, changes=changes, actor=deed.actor, now=deed.now)


@service_action(
    description=_("Revoke keys"),
    question=_("These keys stop at once and for good. Whatever uses them is refused."),
    done=_("revoked"),
)
def revoke(key: ApiKey, deed: Deed) -> None:
    """Stop keys at once."""
    revoke_key(key=key, actor=deed.actor, now=deed.now, reason=deed.reason)


@admin.register(ApiKey)
class ApiKeyAdmin(FactAdmin):
    """Keys, without anything that would let somebody use one."""

    list_display = ["__str__", "name", "account", "project", "bot", "expires_at"]
    list_display += ["last_used_at", "revoked_at"]
    list_filter = [("revoked_at", admin.EmptyFieldListFilter), "account"]
    list_select_related = ["account", "project", "bot"]
    search_fields = ["name", "key_prefix", "last4", "id"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    fields = [
        "public_id",
        "account",
        "project",
        "bot",
        "name",
        "key_prefix",
        "last4",
        "scopes",
        "created_by",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
        "replaces",
    ]
    actions = [revoke]


@admin.register(ChangeRecord)
class ChangeRecordAdmin(FactAdmin):
    """Who changed what."""

    list_display = ["created_at", "account", "actor_label", "action", "target"]
    list_display += ["reason"]
    list_filter = ["action", "actor_kind", "account"]
    list_select_related = ["account"]
    search_fields = ["target", "actor_label", "actor_id", "action", "reason"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
    fields = ["public_id", "account", "created_at", "actor_kind", "actor_id"]
    fields += ["actor_label", "action", "target", "changes", "reason"]


@admin.register(Heartbeat)
class HeartbeatAdmin(FactAdmin):
    """When the parts of the installation last said that they live."""

    list_display = ["part", "at"]
    search_fields = ["part"]
    ordering = ["part"]


@admin.register(SavedView)
class SavedViewAdmin(FactAdmin):
    """The filters that people have given a name."""

    list_display = ["name", "page", "person", "account", "created_at"]
    list_filter = ["page", "account"]
    list_select_related = ["account", "person"]
    search_fields = ["name", "person__email", "account__slug"]
    date_hierarchy = "created_at"
    ordering = ["-id"]
