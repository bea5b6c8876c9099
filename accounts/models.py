"""Who is there: accounts, the people in them, their projects, bots and keys."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import (
    AbstractBaseUser,
    BaseUserManager,
    PermissionsMixin,
)
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from accounts import ids


def new_uuid() -> uuid.UUID:
    """Make the default key of a row that no service has dated itself."""
    return ids.new_id(now())


class PublicIdModel(models.Model):
    """A row whose key is a UUIDv7 and is shown as `prefix_` + 26 characters."""

    prefix: ClassVar[str] = ""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)

    class Meta:
        abstract = True

    @property
    def public_id(self) -> str:
        """The id that leaves the house."""
        return ids.encode_id(self.prefix, self.id)


class PersonManager(BaseUserManager["Person"]):
    """Make people who log in with their e-mail address."""

    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "Person":
        """Create a person; without a password they cannot log in with one."""
        if not email:
            raise ValueError("A person needs an e-mail address.")
        person = self.model(email=self.normalize_email(email), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def create_superuser(
        self, email: str, password: str | None = None, **fields: Any
    ) -> "Person":
        """Create an admin of the installation."""
        fields.update(is_staff=True, is_superuser=True)
        return self.create_user(email, password, **fields)


class Person(AbstractBaseUser, PermissionsMixin):
    """Somebody who logs in. What they may do is said by their memberships."""

    prefix = "per"

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=150, blank=True, default="")
    language = models.CharField(max_length=8, blank=True, default="", db_default="")
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=now)

    objects = PersonManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name_plural = "people"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="person_email_is_unique"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def public_id(self) -> str:
        """The id that leaves the house."""
        return ids.encode_id(self.prefix, self.id)


class Account(PublicIdModel):
    """A tenant. Every other row belongs to exactly one.

    `language` is that of its mails to whoever has chosen none; empty: English.
    `started_at` is when its people had done, or left out, the first steps. A sample
    account is an invented one beside another (`sample_of`); `sample_percent` says how
    much of its history is there.
    """

    prefix = "acc"

    class Plan(models.TextChoices):
        STANDARD = "standard"
        PLUS = "plus"
        ENTERPRISE = "enterprise"

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC")
    week_start = models.PositiveSmallIntegerField(default=1)
    language = models.CharField(max_length=8, blank=True, default="", db_default="")
    plan = models.CharField(max_length=16, choices=Plan, default=Plan.STANDARD)
    stores_text = models.BooleanField(default=False)
    version = models.BigIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    sample_of = models.OneToOneField(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="sample",
    )
    sample_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, editable=False
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(week_start__gte=1, week_start__lte=7),
                name="account_week_starts_on_a_day",
            ),
            models.CheckConstraint(
                condition=Q(plan__in=["standard", "plus", "enterprise"]),
                name="account_plan_is_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_sample(self) -> bool:
        """Whether all that is in it is invented."""
        return self.sample_percent is not None


class Member(PublicIdModel):
    """A person's role in an account."""

    prefix = "mem"

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        OPERATOR = "operator", _("Operator")
        AUDITOR = "auditor", _("Auditor")
        VIEWER = "viewer", _("Viewer")

    account = models.ForeignKey(Account, models.CASCADE, related_name="members")
    person = models.ForeignKey(Person, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "person"], name="member_once_per_account"
            ),
            models.CheckConstraint(
                condition=Q(role__in=["owner", "operator", "auditor", "viewer"]),
                name="member_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} ({self.role})"


class SavedView(PublicIdModel):
    """A filter of a page that a person has given a name, for themselves alone."""

    prefix = "viw"

    class Page(models.TextChoices):
        USAGE = "usage", _("Usage")
        DECISIONS = "decisions", _("Decisions")

    account = models.ForeignKey(Account, models.CASCADE, related_name="saved_views")
    person = models.ForeignKey(Person, models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=16, choices=Page)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2_000)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "person", "page", "name"],
                name="saved_view_name_is_unique",
            ),
            models.CheckConstraint(
                condition=Q(page__in=["usage", "decisions"]),
                name="saved_view_page_is_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Invitation(PublicIdModel):
    """An address that may become a member; open until accepted, revoked or expired."""

    prefix = "inv"

    account = models.ForeignKey(Account, models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=16, choices=Member.Role)
    invited_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "account",
                Lower("email"),
                condition=Q(accepted_at=None, revoked_at=None),
                name="invitation_once_per_address",
            ),
            models.CheckConstraint(
                condition=Q(role__in=["owner", "operator", "auditor", "viewer"]),
                name="invitation_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.role})"


class Project(PublicIdModel):
    """A part of an account whose keys and budgets never mix with another's."""

    prefix = "prj"

    account = models.ForeignKey(Account, models.CASCADE, related_name="projects")
    name = models.CharField(max_length=200)
    external_id = models.CharField(max_length=200, null=True, blank=True)
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "id"], name="project_in_account"
            ),
            models.UniqueConstraint(
                fields=["account", "external_id"], name="project_external_id_is_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Bot(PublicIdModel):
    """A bot or an agent: what consumes."""

    prefix = "bot"

    class State(models.TextChoices):
        ACTIVE = "active"
        DISABLED = "disabled"
        REVOKED = "revoked"

    account = models.ForeignKey(Account, models.CASCADE, related_name="bots")
    project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, related_name="bots"
    )
    name = models.CharField(max_length=200)
    external_id = models.CharField(max_length=200, null=True, blank=True)
    owner = models.CharField(max_length=200, null=True, blank=True)
    description = models.TextField(blank=True, default="")
    state = models.CharField(max_length=16, choices=State, default=State.ACTIVE)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="bot_in_account"),
            models.UniqueConstraint(
                fields=["account", "external_id"], name="bot_external_id_is_unique"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["active", "disabled", "revoked"]),
                name="bot_state_is_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(PublicIdModel):
    """A key of an account. The text itself is shown once and stored nowhere."""

    prefix = "key"

    account = models.ForeignKey(Account, models.CASCADE, related_name="api_keys")
    project = models.ForeignKey(
        Project, models.PROTECT, null=True, blank=True, related_name="api_keys"
    )
    bot = models.ForeignKey(
        Bot, models.PROTECT, null=True, blank=True, related_name="api_keys"
    )
    name = models.CharField(max_length=200, blank=True, default="")
    key_prefix = models.CharField(max_length=24)
    last4 = models.CharField(max_length=4)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=40))
    created_at = models.DateTimeField(default=now)
    created_by = models.CharField(max_length=300, blank=True, default="")
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaces = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="replaced_by"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "id"], name="key_in_account"),
            models.CheckConstraint(
                condition=Q(scopes__len__gt=0), name="key_has_a_scope"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key_prefix}…{self.last4}"


class ChangeRecord(PublicIdModel):
    """One edit by somebody, with what it changed. Append-only."""

    prefix = "chg"

    account = models.ForeignKey(Account, models.CASCADE, related_name="changes")
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=40, blank=True, default="")
    actor_label = models.CharField(max_length=300, blank=True, default="")
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=40)
    changes = models.JSONField(default=list)
    reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=now)

    class Meta:
        indexes = [
            models.Index(fields=["account", "-created_at"], name="change_recent"),
            models.Index(fields=["account", "target"], name="change_target"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(actor_kind__in=["person", "key", "system"]),
                name="change_actor_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"


class Heartbeat(models.Model):
    """When a part of the installation last said that it lives. Of no account."""

    part = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.part
