import time

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from policyhub.urls import urlpatterns as product


def slow(request: HttpRequest) -> HttpResponse:
    """150 ms of Python and 50 ms of the database."""
    end = time.thread_time() + 0.150
    while time.thread_time() < end:
        sum(range(1_000))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.05)")
    return HttpResponse("slow")


urlpatterns = [path("bench/slow", slow), *product]
