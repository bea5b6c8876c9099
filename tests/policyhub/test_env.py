"""Settings are read once; a wrong one is refused by its name."""

import warnings

import pytest

from policyhub import env
from policyhub.database import parameters

SECRET = "x" * 30 + "0123456789abcdefghijklmnopqrstuv"
FERNET = "0123456789abcdef0123456789abcdef0123456789w="


@pytest.fixture
def state(tmp_path):
    return {"POLICYHUB_STATE_DIR": str(tmp_path)}


def test_without_any_setting_everything_is_embedded(state, tmp_path):
    read = env.read(state)

    assert read.database_embedded
    assert read.broker_embedded
    assert parameters(read.database_url)["host"] == f"{tmp_path}/run/db"
    assert read.broker_url == f"redis+socket://{tmp_path}/run/db/valkey.sock"
    assert (read.host, read.port, read.debug) == ("127.0.0.1", 8000, False)


def test_generated_secrets_are_private_and_stay(state, tmp_path):
    first, second = env.read(state), env.read(state)

    assert first.secret_key == second.secret_key
    assert len({first.secret_key, first.key_pepper.decode(), *first.encryption_keys})
    for name in ("secret-key", "key-pepper", "encryption-keys"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eight"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "٨"),
        ("POLICYHUB_DEBUG", "maybe"),
        ("DATABASE_URL", "mysql://localhost/policyhub"),
        ("BROKER_URL", "http://localhost"),
        ("POLICYHUB_SITE_URL", "policyhub.example.com"),
        ("POLICYHUB_SITE_URL", "https://policyhub.example.com/app"),
        ("POLICYHUB_SITE_URL", "https://[::1"),
        ("POLICYHUB_SECRET_KEY", "short"),
        ("POLICYHUB_KEY_PEPPER", "short"),
        ("POLICYHUB_ENCRYPTION_KEYS", "n" * 45),
        (
            "POLICYHUB_ENCRYPTION_KEYS",
            "bm90IGxvbmcgZW5vdWdoIGZvciBhIGtleQ==" + "A" * 12,
        ),
        ("POLICYHUB_EMAIL_URL", "pigeon://coop"),
        ("POLICYHUB_PRIVATE_URLS", "127.0.0.1:9000"),
        ("POLICYHUB_PRIVATE_URLS", "http://127.0.0.1:9000/path"),
        ("POLICYHUB_MAIL_EVENTS_SECRET", "short:secret"),
        ("POLICYHUB_MAIL_EVENTS_SECRET", "0123456789012345678901"),
        ("POLICYHUB_MAILS_PER_HOUR", "0"),
        ("POLICYHUB_EMAIL_URL", "smtp://"),
        ("POLICYHUB_EMAIL_URL", "smtp://mail:port"),
        ("POLICYHUB_EMAIL_URL", "anymail+postmark://"),
        ("LEDGER_BATCH_MAX", "0"),
        ("LEDGER_QUEUE_MAX", "-1"),
        ("LANE_WORKERS", "1.5"),
        ("POLICYHUB_SECRET_KEY_FILE", "/does/not/exist"),
    ],
)
def test_a_wrong_value_is_refused_by_name(state, name, value):
    with pytest.raises(env.WrongSetting) as refused:
        env.read({**state, name: value})

    assert str(refused.value).startswith(f"{name}: ")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost",
        "postgresql://me:swordfish@localhost/policyhub?nonsense=1",
        "postgresql://me:swordfish@[::1/policyhub",
    ],
)
def test_a_wrong_database_is_refused_and_its_password_never_shown(url):
    with pytest.raises(env.WrongSetting, match="DATABASE_URL: ") as refused:
        parameters(url)

    assert "swordfish" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_state_directory_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(env.WrongSetting, match="POLICYHUB_STATE_DIR"):
        env.read({"POLICYHUB_STATE_DIR": str(file)})


@pytest.mark.parametrize(
    "missing",
    ["POLICYHUB_SECRET_KEY", "POLICYHUB_KEY_PEPPER", "POLICYHUB_ENCRYPTION_KEYS"],
)
def test_an_https_site_must_be_given_its_secrets(state, missing):
    given = {
        **state,
        "POLICYHUB_SITE_URL": "https://policyhub.example.com",
        "POLICYHUB_SECRET_KEY": SECRET,
        "POLICYHUB_KEY_PEPPER": SECRET,
        "POLICYHUB_ENCRYPTION_KEYS": FERNET,
    }
    read = env.read(given)
    assert read.https
    assert read.allowed_hosts == ("policyhub.example.com",)

    del given[missing]
    with pytest.raises(env.WrongSetting, match=missing):
        env.read(given)


def test_a_secret_may_come_from_a_file(state, tmp_path):
    file = tmp_path / "pepper"
    file.write_text(f"{SECRET}\n")

    read = env.read({**state, "POLICYHUB_KEY_PEPPER_FILE": str(file)})

    assert read.key_pepper == SECRET.encode()


def test_an_unknown_name_is_warned_about(state):
    with pytest.warns(UserWarning, match="POLICYHUB_PROT is not a setting"):
        env.read({**state, "POLICYHUB_PROT": "1"})


def test_known_names_are_not_warned_about(state):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.read({**state, "PORT": "9000", "POLICYHUB_DEBUG": "false"})


def test_mail_goes_to_files_unless_told_otherwise(state, tmp_path):
    assert env.read(state).email["EMAIL_FILE_PATH"] == f"{tmp_path}/mail"

    smtp = env.read({**state, "POLICYHUB_EMAIL_URL": "smtp://127.0.0.1:2525"}).email
    assert smtp["EMAIL_HOST"] == "127.0.0.1"
    assert smtp["EMAIL_PORT"] == 2525

    sent = env.read({**state, "POLICYHUB_EMAIL_URL": "anymail+postmark://k@"}).email
    assert sent["EMAIL_BACKEND"] == "anymail.backends.postmark.EmailBackend"
    assert sent["ANYMAIL"] == {"POSTMARK_API_KEY": "k"}


def test_smtps_is_tls_from_the_start(tmp_path):
    for scheme in ("smtps", "smtp+ssl"):
        url = f"{scheme}://mail.example.com:465"
        given = {"POLICYHUB_STATE_DIR": str(tmp_path), "POLICYHUB_EMAIL_URL": url}
        email = env.read(given).email
        assert email["EMAIL_USE_SSL"] is True
        assert "EMAIL_USE_TLS" not in email
