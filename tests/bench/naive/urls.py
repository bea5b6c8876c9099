from django.urls import path

from tests.bench.naive import views

urlpatterns = [
    path("healthz", views.healthz),
    path("api/v1/authorize", views.authorize),
]
