"""Every setting from outside, read once, checked, and explained when it is wrong.

`settings.py` reads this module and nothing else reads the environment. A wrong
value raises `WrongSetting`, whose text starts with the variable's name. Secrets
may also come from a file named by `<NAME>_FILE`. Without them an installation that
is not announced under https makes its own, once, in the state directory.
"""

import base64
import os
import re
import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from policyhub.embedded import state as embedded
from policyhub.env_names import SECRETS, is_unknown

BASE_DIR = Path(__file__).resolve().parent.parent


class WrongSetting(ImproperlyConfigured):
    """A setting is missing or wrong; the text names it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


_ORIGIN = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:([0-9]{1,5}|\*))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Environment:
    """The checked settings."""

    state_dir: Path
    database_url: str
    database_embedded: bool
    broker_url: str
    broker_embedded: bool
    port: int
    host: str
    debug: bool
    secret_key: str
    key_pepper: bytes
    encryption_keys: tuple[str, ...]
    site_url: str
    allowed_hosts: tuple[str, ...]
    email: Mapping[str, Any]
    default_from_email: str
    mails_per_hour: int
    mail_events_secret: str
    private_urls: tuple[str, ...]
    signup: str
    oidc: Mapping[str, str]
    ledger_batch_max: int
    ledger_queue_max: int
    lane_workers: int
    gateway_echo: bool
    gateway_requests: Mapping[str, int]
    gateway_concurrency: int

    @property
    def https(self) -> bool:
        """Whether people reach this installation over https."""
        return self.site_url.startswith("https://")


class Reader:
    """Reads the variables of one mapping; raises `WrongSetting`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._values = dict(variables)
        for name in SECRETS:
            self._read_file(name)

    def _read_file(self, name: str) -> None:
        path = self._values.get(f"{name}_FILE", "")
        if not path:
            return
        if self.given(name):
            raise WrongSetting(name, f"give it or {name}_FILE, not both")
        try:
            self._values[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongSetting(f"{name}_FILE", f"cannot be read: {error}") from error

    def given(self, name: str) -> bool:
        return bool(self._values.get(name, "").strip())

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, "").strip() or default

    def boolean(self, name: str, default: bool) -> bool:
        value = self.text(name, str(default)).lower()
        if value in {"true", "1", "yes", "on"}:
            return True
        if value in {"false", "0", "no", "off"}:
            return False
        raise WrongSetting(name, f"must be true or false, not {value!r}")

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name, str(default))
        if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
            problem = f"must be a whole number from {low} to {high}, not {value!r}"
            raise WrongSetting(name, problem)
        return int(value)

    def warn_about_unknown_names(self) -> None:
        for name in sorted(self._values):
            if is_unknown(name):
                warnings.warn(f"{name} is not a setting of PolicyHub", stacklevel=3)


def _state_dir(reader: Reader) -> Path:
    path = Path(reader.text("POLICYHUB_STATE_DIR", str(BASE_DIR / ".policyhub")))
    if path.exists() and not path.is_dir():
        raise WrongSetting("POLICYHUB_STATE_DIR", f"{path} is not a directory")
    return path.absolute()


def _database_url(reader: Reader, state_dir: Path) -> str:
    url = reader.text("DATABASE_URL", embedded.database_url(state_dir))
    if not url.startswith(("postgres://", "postgresql://")):
        raise WrongSetting("DATABASE_URL", "must start with postgresql://")
    return url


def _broker_url(reader: Reader, state_dir: Path) -> str:
    url = reader.text("BROKER_URL", embedded.broker_url(state_dir))
    schemes = {"redis", "rediss", "redis+socket", "amqp", "amqps", "pyamqp"}
    if urlsplit(url).scheme not in schemes:
        raise WrongSetting("BROKER_URL", "must start with redis:// or amqp://")
    return url


def _site_url(reader: Reader, host: str, port: int) -> str:
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104
    shown = f"[{shown}]" if ":" in shown else shown
    url = reader.text("POLICYHUB_SITE_URL", f"http://{shown}:{port}").rstrip("/")
    try:
        parts = urlsplit(url)
        complete = parts.scheme in {"http", "https"} and parts.hostname
    except ValueError:
        complete = None
    if not complete or parts.path or parts.query or parts.username:
        problem = f"must be http:// or https:// and a host, not {url!r}"
        raise WrongSetting("POLICYHUB_SITE_URL", problem)
    return url


def _allowed_hosts(reader: Reader, site_url: str, host: str) -> tuple[str, ...]:
    given = reader.text("POLICYHUB_ALLOWED_HOSTS")
    if given:
        return tuple(name.strip() for name in given.split(",") if name.strip())
    site = urlsplit(site_url).hostname or "localhost"
    if site_url.startswith("https://"):
        return (site,)
    local = ["localhost", "127.0.0.1", "[::1]", site]
    return tuple(dict.fromkeys([*local, host] if host != "0.0.0.0" else local))  # noqa: S104


def _email(reader: Reader, state_dir: Path) -> dict[str, Any]:
    url = reader.text("POLICYHUB_EMAIL_URL", f"file://{state_dir / 'mail'}")
    name = "POLICYHUB_EMAIL_URL"
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise WrongSetting(name, "is not a valid URL") from error
    if not port_is_valid:
        raise WrongSetting(name, "names port 0")
    scheme = parts.scheme
    if scheme == "file":
        backend = "django.core.mail.backends.filebased.EmailBackend"
        return {"EMAIL_BACKEND": backend, "EMAIL_FILE_PATH": parts.path}
    if scheme.startswith("anymail+"):
        service = scheme.removeprefix("anymail+")
        if not parts.username:
            raise WrongSetting(name, "needs the service's API key before the @")
        return {
            "EMAIL_BACKEND": f"anymail.backends.{service}.EmailBackend",
            "ANYMAIL": {f"{service.upper()}_API_KEY": parts.username},
        }
    if scheme not in {"smtp", "smtps", "smtp+tls", "smtp+ssl"}:
        raise WrongSetting(name, f"{scheme or 'no scheme'} is not a known kind of URL")
    if not parts.hostname:
        raise WrongSetting(name, "must name the mail server")
    # To django-environ smtps means STARTTLS; to everybody else, TLS from the start.
    url = url.replace("smtps://", "smtp+ssl://", 1)
    config: dict[str, Any] = environ.Env.email_url_config(url)
    config["EMAIL_TIMEOUT"] = 20
    return config


def _mail_events_secret(reader: Reader) -> str:
    name = "POLICYHUB_MAIL_EVENTS_SECRET"
    secret = reader.text(name)
    user, _, password = secret.partition(":")
    if secret and (not user or len(password) < 16):
        raise WrongSetting(name, "must read user:password, 16 characters or more")
    return secret


def _private_urls(reader: Reader) -> tuple[str, ...]:
    """Return the origins; what they open is in `accounts/outbound.py`."""
    name = "POLICYHUB_PRIVATE_URLS"
    origins = [part.strip().rstrip("/") for part in reader.text(name).split(",")]
    for origin in filter(None, origins):
        if _ORIGIN.fullmatch(origin) is None:
            problem = f"must list origins such as http://127.0.0.1:9000, not {origin!r}"
            raise WrongSetting(name, problem)
    return tuple(filter(None, origins))


def _signup(reader: Reader, default: str) -> str:
    value = reader.text("POLICYHUB_SIGNUP", default)
    if value not in {"open", "invited"}:
        problem = f"must be open or invited, not {value!r}"
        raise WrongSetting("POLICYHUB_SIGNUP", problem)
    return value


def _oidc(reader: Reader) -> dict[str, str]:
    """Return url, name, client_id and secret of single sign-on; empty without one."""
    url = reader.text("POLICYHUB_OIDC_URL").rstrip("/")
    if not url:
        return {}
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise WrongSetting("POLICYHUB_OIDC_URL", "must start with https://")
    for name in ("POLICYHUB_OIDC_CLIENT_ID", "POLICYHUB_OIDC_CLIENT_SECRET"):
        if not reader.given(name):
            raise WrongSetting(name, "must be given with POLICYHUB_OIDC_URL")
    return {
        "url": url,
        "name": reader.text("POLICYHUB_OIDC_NAME", "Single sign-on"),
        "client_id": reader.text("POLICYHUB_OIDC_CLIENT_ID"),
        "secret": reader.text("POLICYHUB_OIDC_CLIENT_SECRET"),
    }


def _secret(reader: Reader, name: str, state_dir: Path, *, required: bool) -> str:
    """Return the secret of that name, made once in the state directory if need be."""
    file, make, shortest = GENERATED[name]
    if reader.given(name):
        value = reader.text(name)
    elif required:
        raise WrongSetting(name, "must be given when POLICYHUB_SITE_URL is https://")
    else:
        try:
            value = embedded.secret(state_dir, file, make)
        except OSError as error:
            problem = f"cannot keep {file} in {state_dir}: {error.strerror}"
            raise WrongSetting("POLICYHUB_STATE_DIR", problem) from error
    if len(value) < shortest:
        raise WrongSetting(name, f"must have at least {shortest} characters")
    return value


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")


def _random_text() -> str:
    return secrets.token_urlsafe(48)


# file in the state directory, how it is made, the least number of characters
GENERATED: dict[str, tuple[str, Callable[[], str], int]] = {
    "POLICYHUB_SECRET_KEY": ("secret-key", _random_text, 50),
    "POLICYHUB_KEY_PEPPER": ("key-pepper", _random_text, 32),
    "POLICYHUB_ENCRYPTION_KEYS": ("encryption-keys", _fernet_key, 44),
}


def _encryption_keys(text: str) -> tuple[str, ...]:
    name = "POLICYHUB_ENCRYPTION_KEYS"
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    for key in keys:
        try:
            size = len(base64.urlsafe_b64decode(key.encode("ascii")))
        except ValueError as error:
            raise WrongSetting(name, "holds a key that is not base64") from error
        if size != 32:
            raise WrongSetting(name, "each key must be 32 bytes in URL-safe base64")
    return keys


_PLANS = {"standard": 600, "plus": 6_000, "enterprise": 60_000}


def _gateway_requests(reader: Reader) -> dict[str, int]:
    """Read `standard=600,plus=6000`; a plan that is not named keeps its default."""
    name = "GATEWAY_REQUESTS_PER_MINUTE"
    found = dict(_PLANS)
    for part in filter(None, reader.text(name).replace(" ", "").split(",")):
        plan, _, number = part.partition("=")
        usable = number.isascii() and number.isdigit() and len(number) <= 9
        if plan not in _PLANS or not usable or int(number) < 1:
            raise WrongSetting(name, f"must be like {_PLANS_TEXT}, not {part!r}")
        found[plan] = int(number)
    return found


_PLANS_TEXT = ",".join(f"{plan}={number}" for plan, number in _PLANS.items())


def read(variables: Mapping[str, str]) -> Environment:
    """Check all settings and return them. Raises `WrongSetting`.

    Unknown names that start with POLICYHUB_ are warned about.
    """
    reader = Reader(variables)
    reader.warn_about_unknown_names()
    state_dir = _state_dir(reader)
    host = reader.text("POLICYHUB_HOST", "127.0.0.1")
    port = reader.integer("PORT", 8000, 1, 65535)
    site_url = _site_url(reader, host, port)
    site_host = urlsplit(site_url).hostname or "localhost"
    https = site_url.startswith("https://")

    def secret(name: str) -> str:
        return _secret(reader, name, state_dir, required=https)

    return Environment(
        state_dir=state_dir,
        database_url=_database_url(reader, state_dir),
        database_embedded=not reader.given("DATABASE_URL"),
        broker_url=_broker_url(reader, state_dir),
        broker_embedded=not reader.given("BROKER_URL"),
        port=port,
        host=host,
        debug=reader.boolean("POLICYHUB_DEBUG", default=False),
        secret_key=secret("POLICYHUB_SECRET_KEY"),
        key_pepper=secret("POLICYHUB_KEY_PEPPER").encode(),
        encryption_keys=_encryption_keys(secret("POLICYHUB_ENCRYPTION_KEYS")),
        site_url=site_url,
        allowed_hosts=_allowed_hosts(reader, site_url, host),
        email=_email(reader, state_dir),
        default_from_email=reader.text(
            "POLICYHUB_DEFAULT_FROM_EMAIL", f"PolicyHub <policyhub@{site_host}>"
        ),
        mails_per_hour=reader.integer("POLICYHUB_MAILS_PER_HOUR", 20, 1, 1_000_000),
        mail_events_secret=_mail_events_secret(reader),
        private_urls=_private_urls(reader),
        signup=_signup(reader, "invited" if https else "open"),
        oidc=_oidc(reader),
        ledger_batch_max=reader.integer("LEDGER_BATCH_MAX", 256, 1, 4096),
        ledger_queue_max=reader.integer("LEDGER_QUEUE_MAX", 4096, 1, 1_000_000),
        lane_workers=reader.integer("LANE_WORKERS", 1, 1, 64),
        gateway_echo=reader.boolean("GATEWAY_ECHO", default=not https),
        gateway_requests=_gateway_requests(reader),
        gateway_concurrency=reader.integer("GATEWAY_CONCURRENCY", 4096, 1, 100_000),
    )


ENV = read(os.environ)
