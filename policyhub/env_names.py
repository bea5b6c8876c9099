"""The settings that the environment may give, as people read them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of the environment: `default` as a person would write it."""

    name: str
    default: str
    meaning: str
    secret: bool = False


SETTINGS = (
    Setting("POLICYHUB_STATE_DIR", ".policyhub", "Folder for everything kept on disk."),
    Setting("DATABASE_URL", "embedded", "PostgreSQL 14 or later, as a URL.", True),
    Setting("BROKER_URL", "embedded", "Valkey or Redis, as a URL.", True),
    Setting("PORT", "8000", "The public port."),
    Setting("POLICYHUB_HOST", "127.0.0.1", "The address the public port listens on."),
    Setting("POLICYHUB_DEBUG", "false", "Django's debug pages. Never in production."),
    Setting("POLICYHUB_SECRET_KEY", "generated", "Signs sessions and links.", True),
    Setting("POLICYHUB_KEY_PEPPER", "generated", "Keyed hash of the API keys.", True),
    Setting(
        "POLICYHUB_ENCRYPTION_KEYS",
        "generated",
        "Fernet keys for secrets at rest, newest first, separated by commas.",
        True,
    ),
    Setting("POLICYHUB_SITE_URL", "http://127.0.0.1:8000", "The address people use."),
    Setting("POLICYHUB_ALLOWED_HOSTS", "the site's host", "Host names, by commas."),
    Setting(
        "POLICYHUB_EMAIL_URL",
        "files in the state directory",
        "smtp://, smtp+tls://, smtp+ssl://, anymail+<service>://<key>@, file:///path.",
        True,
    ),
    Setting("POLICYHUB_DEFAULT_FROM_EMAIL", "policyhub@<host>", "Sender of e-mails."),
    Setting(
        "POLICYHUB_MAILS_PER_HOUR",
        "20",
        "E-mails an account may have in an hour; one digest carries the rest.",
    ),
    Setting(
        "POLICYHUB_MAIL_EVENTS_SECRET",
        "none",
        "user:password with which the mail service reports bounces to /anymail/.",
        True,
    ),
    Setting(
        "POLICYHUB_PRIVATE_URLS",
        "none",
        "Origins that webhooks and upstreams may call although they are private, by"
        " commas: http://127.0.0.1:9000, https://models.internal:*.",
    ),
    Setting(
        "POLICYHUB_SIGNUP",
        "open unless the site is https, else invited",
        "Who may make a log-in and an account: anybody (open), or invited people.",
    ),
    Setting(
        "POLICYHUB_OIDC_URL",
        "none",
        "Issuer of single sign-on by OpenID Connect: https://login.example.com.",
    ),
    Setting("POLICYHUB_OIDC_NAME", "Single sign-on", "What its button says."),
    Setting("POLICYHUB_OIDC_CLIENT_ID", "none", "PolicyHub's client id there."),
    Setting("POLICYHUB_OIDC_CLIENT_SECRET", "none", "And its secret.", True),
    Setting("LEDGER_BATCH_MAX", "256", "Calls in one ledger transaction, 1 to 4096."),
    Setting("LEDGER_QUEUE_MAX", "4096", "Calls that may wait, 1 to 1000000."),
    Setting("LANE_WORKERS", "1", "Processes of the lane, 1 to 64."),
    Setting(
        "GATEWAY_ECHO",
        "true unless the site is https",
        "Whether the built-in echo answers the calls of accounts without an upstream.",
    ),
    Setting(
        "GATEWAY_REQUESTS_PER_MINUTE",
        "standard=600,plus=6000,enterprise=60000",
        "Gateway requests a minute and key, by the account's plan.",
    ),
    Setting(
        "GATEWAY_CONCURRENCY",
        "4096",
        "Gateway calls at once in a lane process, 1 to 100000; more wait by plan.",
    ),
)
NAMES = frozenset(setting.name for setting in SETTINGS)
SECRETS = frozenset(setting.name for setting in SETTINGS if setting.secret)


def is_unknown(name: str) -> bool:
    """Whether a variable looks like ours and is not."""
    known = name in NAMES or name.removesuffix("_FILE") in SECRETS
    return name.startswith("POLICYHUB_") and not known
