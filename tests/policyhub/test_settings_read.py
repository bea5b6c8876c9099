from django.conf import settings
from django.db import connection


def test_the_run_has_a_database_of_its_own(db):
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        assert int(cursor.fetchone()[0]) >= 140000
    assert settings.DATABASES["default"]["NAME"].startswith("test_")
