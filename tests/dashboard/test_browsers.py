"""Sessions are told apart by what people call their browsers."""

import pytest
from django.utils.translation import override

from dashboard.browsers import browser_name

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
LINUX = f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT}"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT}"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:150.0) Gecko/20100101"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1"
ANDROID = f"Mozilla/5.0 (Linux; Android 16; SM-S938B) {WEBKIT}"


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (f"{LINUX} Chrome/156.0.0.0 Safari/537.36", "Chrome 156 on Linux"),
        (f"{LINUX} HeadlessChrome/156.0.0.0 Safari/537.36", "Chrome 156 on Linux"),
        (f"{WINDOWS} Chrome/155.0.0.0 Safari/537 Edg/155.0.0.0", "Edge 155 on Windows"),
        (f"{MAC} Firefox/150.0", "Firefox 150 on macOS"),
        (f"{IPHONE} Version/19.0 Mobile/15E148 Safari/604.1", "Safari 19 on iPhone"),
        (
            f"{ANDROID} SamsungBrowser/29.0 Chrome/145.0.0.0 Mobile Safari/537.36",
            "Samsung Internet 29 on Android",
        ),
        ("Firefox/1", "Firefox 1"),
        ("curl/8.9", "curl/8.9"),
        ("", ""),
    ],
)
def test_browsers_have_names(sent, named):
    with override("en"):
        assert browser_name(sent) == named
