"""What the gateway of one process counts, for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter(
    "policyhub_gateway_requests",
    "Requests that have ended, by route and by how: ok, gone, or the error's code.",
    ["route", "outcome"],
)
UPSTREAM_SECONDS: Final = Histogram(
    "policyhub_gateway_upstream_seconds",
    "From asking an upstream until its answer began.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
UPSTREAM_FAILURES: Final = Counter(
    "policyhub_gateway_upstream_failures",
    "Upstreams that gave no usable answer: unreachable, broke_off, too_long, refused.",
    ["kind"],
)
FIRST_CHUNK_SECONDS: Final = Histogram(
    "policyhub_gateway_first_chunk_seconds",
    "From a stream's request until something of the answer left for the client.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
OPEN_STREAMS: Final = Gauge(
    "policyhub_gateway_open_streams", "Streams that are under way."
)
WAITING: Final = Gauge(
    "policyhub_gateway_waiting", "Calls that wait for others to end."
)
REDACTIONS: Final = Counter(
    "policyhub_gateway_redactions",
    "Places taken out of texts, by direction and category (or denylist).",
    ["direction", "category"],
)
