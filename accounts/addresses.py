"""Which addresses this installation may be sent to by what its users write.

Pure. Python's own `is_private` and `is_global` are not enough: 100.64.0.1 is not
private to them, and 64:ff9b::7f00:1, 2002:7f00:1::, ::127.0.0.1 and 224.0.0.1 count
as global. So the lists here are our own, and what is not known to be public is
refused.

Source: the IANA special-purpose address registries (RFC 6890 and its successors),
and the fixed addresses at which clouds answer their own machines.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

LOOPBACK: Final = "loopback"
PRIVATE: Final = "private"
LINK_LOCAL: Final = "link-local"
RESERVED: Final = "reserved"
MULTICAST: Final = "multicast"
TRANSITION: Final = "a transition address"

# What an admin may open by name: machines of one's own. Never what is link-local
# (there clouds hand out their credentials), multicast or reserved.
OPENABLE: Final = frozenset({LOOPBACK, PRIVATE})

_V4: Final = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", RESERVED),
        ("10.0.0.0/8", PRIVATE),
        ("100.64.0.0/10", PRIVATE),
        ("127.0.0.0/8", LOOPBACK),
        ("168.63.129.16/32", LINK_LOCAL),
        ("169.254.0.0/16", LINK_LOCAL),
        ("172.16.0.0/12", PRIVATE),
        ("192.0.0.0/24", RESERVED),
        ("192.0.2.0/24", RESERVED),
        ("192.31.196.0/24", RESERVED),
        ("192.52.193.0/24", RESERVED),
        ("192.88.99.0/24", TRANSITION),
        ("192.168.0.0/16", PRIVATE),
        ("192.175.48.0/24", RESERVED),
        ("198.18.0.0/15", RESERVED),
        ("198.51.100.0/24", RESERVED),
        ("203.0.113.0/24", RESERVED),
        ("224.0.0.0/4", MULTICAST),
        ("240.0.0.0/4", RESERVED),
    )
)
_V6: Final = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("::1/128", LOOPBACK),
        ("fc00::/7", PRIVATE),
        ("fe80::/10", LINK_LOCAL),
        ("fec0::/10", RESERVED),
        ("ff00::/8", MULTICAST),
        ("2001::/23", TRANSITION),
        ("2001:db8::/32", RESERVED),
        ("2002::/16", TRANSITION),
        ("2620:4f:8000::/48", RESERVED),
        ("3ffe::/16", RESERVED),
        ("3fff::/20", RESERVED),
    )
)
_FD00_EC2: Final = ip_network("fd00:ec2::/32")
_GLOBAL_V6: Final = ip_network("2000::/3")
_MAPPED: Final = ip_network("::ffff:0:0/96")
_NAT64: Final = ip_network("64:ff9b::/96")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_LOCAL_NAMES: Final = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "localdomain",
    "home.arpa",
    "onion",
)


def kind_of(text: str) -> str | None:
    """Return why an address may not be called; None for a public one.

    An IPv4 address inside an IPv6 one (mapped, or NAT64's well-known prefix) is judged
    by itself. Raises ValueError for what is no address.
    """
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return _kind_of_v4(address)
    if address.scope_id is not None:
        return LINK_LOCAL
    inner = _inside(address)
    return _kind_of_v6(address) if inner is None else _kind_of_v4(inner)


def is_refused(text: str, *, opened: bool) -> str | None:
    """Return why an address is refused; `opened` says an admin named its host."""
    kind = kind_of(text)
    return None if opened and kind in OPENABLE else kind


def is_address(host: str) -> bool:
    """Whether a host is an address in the one way each address is written."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def problem_of_name(host: str) -> str | None:
    """Return why a host name cannot be a public one; None if it may be.

    A last label that is a number would be read as an address by some resolvers
    (`2130706433`, `0x7f.1`, `127.1`), so it is refused (WHATWG URL, "ends in a
    number").
    """
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return "is no host name; write one of another script as xn--…"
    if _NUMBER.fullmatch(labels[-1]):
        return "is an address written in an unusual way"
    return None


def is_local_name(host: str) -> bool:
    """Whether a host name has a meaning only inside somebody's network."""
    if "." not in host:
        return True
    return any(host == name or host.endswith("." + name) for name in _LOCAL_NAMES)


def _inside(address: IPv6Address) -> IPv4Address | None:
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _kind_of_v4(address: IPv4Address) -> str | None:
    return next((kind for network, kind in _V4 if address in network), None)


def _kind_of_v6(address: IPv6Address) -> str | None:
    if address in _FD00_EC2:
        return LINK_LOCAL
    for network, kind in _V6:
        if address in network:
            return kind
    return None if address in _GLOBAL_V6 else RESERVED
