"""The parameters of the database, as libpq understands the URL."""

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from policyhub.env import WrongSetting


def parameters(url: str) -> dict[str, str]:
    """Return libpq's parameters of a URL. Raises `WrongSetting`.

    Apart from `env`, so that the supervisor need not load a database driver.
    """
    try:
        found = conninfo_to_dict(url)
    except ProgrammingError:
        # Not chained: libpq's text may quote the URL, and with it the password.
        raise WrongSetting("DATABASE_URL", "is not a valid PostgreSQL URL") from None
    if not found.get("dbname"):
        raise WrongSetting("DATABASE_URL", "must name a database")
    return {name: str(value) for name, value in found.items()}
