from policyhub.settings import *  # noqa: F403

ROOT_URLCONF = "tests.bench.slow.urls"
