"""Django's settings. Everything from outside comes through `env.py`."""

from typing import Any

from policyhub import VERSION
from policyhub.database import parameters
from policyhub.env import BASE_DIR, ENV

POLICYHUB_VERSION = VERSION
POLICYHUB_STATE_DIR = ENV.state_dir
POLICYHUB_SITE_URL = ENV.site_url
POLICYHUB_KEY_PEPPER = ENV.key_pepper
POLICYHUB_ENCRYPTION_KEYS = ENV.encryption_keys
POLICYHUB_MAILS_PER_HOUR = ENV.mails_per_hour
POLICYHUB_PRIVATE_URLS = ENV.private_urls
LEDGER_BATCH_MAX = ENV.ledger_batch_max
LEDGER_QUEUE_MAX = ENV.ledger_queue_max
LANE_WORKERS = ENV.lane_workers
GATEWAY_ECHO = ENV.gateway_echo
GATEWAY_REQUESTS_PER_MINUTE = dict(ENV.gateway_requests)
GATEWAY_CONCURRENCY = ENV.gateway_concurrency

DEBUG = ENV.debug
SECRET_KEY = ENV.secret_key
ALLOWED_HOSTS = list(ENV.allowed_hosts)

INSTALLED_APPS = [
    "policyhub.apps.PolicyHubConfig",
    "dashboard.apps.DashboardConfig",
    "api.apps.ApiConfig",
    "gateway.apps.GatewayConfig",
    "retention.apps.RetentionConfig",
    "usage.apps.UsageConfig",
    "policies.apps.PoliciesConfig",
    "alerts.apps.AlertsConfig",
    "audit.apps.AuditConfig",
    "accounts.apps.AccountsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_htmx",
    "csp",
    "anymail",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
]

MIDDLEWARE = [
    "api.request_ids.RequestIds",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "policyhub.languages.Languages",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
]

ROOT_URLCONF = "policyhub.urls"
WSGI_APPLICATION = "policyhub.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database -----------------------------------------------------------------

_DATABASE = parameters(ENV.database_url)
_LIBPQ = {"dbname": "NAME", "user": "USER", "password": "PASSWORD"}
_LIBPQ |= {"host": "HOST", "port": "PORT"}
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **{_LIBPQ[k]: v for k, v in _DATABASE.items() if k in _LIBPQ},
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "policyhub",
            **{k: v for k, v in _DATABASE.items() if k not in _LIBPQ},
            # A page that cannot get a connection says so, it does not hang.
            "pool": {
                "min_size": 1,
                "max_size": 10,
                "timeout": 5,
                "max_idle": 60,
                # It gives up soon, and the next page tries anew. Else it would wait
                # twice as long after each try, and minutes after a long outage.
                "reconnect_timeout": 2,
            },
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People -------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.Person"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {
        "NAME": f"{_VALIDATION}.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/app/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "policyhub.login.Door"
SOCIALACCOUNT_ADAPTER = "policyhub.login.SingleSignOn"
POLICYHUB_SIGNUP = ENV.signup
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
# An invitation has reached the address already.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if ENV.signup == "open" else "none"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_SESSION_REMEMBER = True
# The last address in X-Forwarded-For is the lane's (or the real proxy's) word.
ALLAUTH_TRUSTED_PROXY_COUNT = 1
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "PolicyHub"
# Passkeys need https except on this machine itself.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not ENV.https

MFA_PASSKEY_LOGIN_ENABLED = True
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "sso",
                "name": ENV.oidc["name"],
                "client_id": ENV.oidc["client_id"],
                "secret": ENV.oidc["secret"],
                "settings": {"server_url": ENV.oidc["url"]},
            }
        ]
        if ENV.oidc
        else [],
    }
}

# --- What browsers are told ---------------------------------------------------

_SELF = "'self'"
_NONE = "'none'"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [_NONE],
        "script-src": [_SELF],
        "style-src": [_SELF],
        "img-src": [_SELF, "data:"],
        "font-src": [_SELF],
        "connect-src": [_SELF],
        "base-uri": [_NONE],
        "form-action": [_SELF],
        "frame-ancestors": [_NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = ENV.https
CSRF_COOKIE_SECURE = ENV.https
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [ENV.site_url]
SECURE_SSL_REDIRECT = ENV.https
SECURE_HSTS_SECONDS = 31_536_000 if ENV.https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = ENV.https
SECURE_HSTS_PRELOAD = ENV.https
# The pages hear only the lane, on a socket of this machine, and the lane (or the
# proxy in front of it) sets this header itself.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440

# --- Static files -------------------------------------------------------------

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = ENV.state_dir / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Lists of hundreds of choices are written at once.
FORM_RENDERER = "dashboard.rendering.QuickChoices"

# --- Language and time --------------------------------------------------------

LANGUAGE_CODE = "en"
# Each by the name that those who speak it give it.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 365 * 86_400
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# --- E-mail -------------------------------------------------------------------

globals().update(ENV.email)
if ENV.mail_events_secret:
    # The service may come with settings of its own, such as its API key.
    ANYMAIL = {
        **ENV.email.get("ANYMAIL", {}),
        "WEBHOOK_SECRET": ENV.mail_events_secret,
    }
POLICYHUB_MAIL_EVENTS = bool(ENV.mail_events_secret)
DEFAULT_FROM_EMAIL = ENV.default_from_email
SERVER_EMAIL = ENV.default_from_email

# --- API ----------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "PolicyHub",
    "DESCRIPTION": "Decides before each call of a bot whether it may go ahead.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "BotState": "accounts.models.Bot.State",
        "AlertState": "alerts.models.Alert.State",
        "DeliveryState": "alerts.models.Delivery.State",
        "BlockKind": "policies.models.Block.Kind",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "api.schema_hot.add_hot_routes",
        "api.webhook_schema.add_webhooks",
    ],
}

# --- Jobs ---------------------------------------------------------------------

# Longer than the longest task, or the broker hands a running task out again.
_REDELIVERY_SECONDS = 900
CELERY_BROKER_URL = ENV.broker_url
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": _REDELIVERY_SECONDS}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# However long the broker is away, the worker's couriers go on (CONTRACT D2).
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = _REDELIVERY_SECONDS - 60
CELERY_TASK_SOFT_TIME_LIMIT = _REDELIVERY_SECONDS - 120
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TIMEZONE = "UTC"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "api.request_ids.WithRequestId"}},
    "formatters": {
        "line": {"format": "%(levelname)s %(name)s [%(request_id)s]: %(message)s"}
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["request"],
        }
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
