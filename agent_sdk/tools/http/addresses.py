"""What kind of place an IP address is: open to anybody, private, or of a kind that nobody has business to ask."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

Reach = Literal["public", "private", "local", "never"]
"""`public`: anybody's. `private`: this machine and its networks. `local`: the link and the platform below, which hands out credentials.
`never`: no host answers there for good reason.
"""

_PRIVATE_4 = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15")
_LOCAL_4 = ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32")  # the last two: platforms that serve metadata elsewhere
_NEVER_4 = (
    "0.0.0.0/8",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.175.48.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
)
_PRIVATE_6 = ("::1/128", "fc00::/7")
_LOCAL_6 = ("fe80::/10", "fd00:ec2::/32", "fd20:ce::/32")  # the last two: metadata of Amazon's and Google's machines
_NEVER_6 = ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
_GLOBAL_6 = IPv6Network("2000::/3")
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")

_BY_REACH_4: tuple[tuple[Reach, tuple[IPv4Network, ...]], ...] = (
    ("local", tuple(map(IPv4Network, _LOCAL_4))),
    ("private", tuple(map(IPv4Network, _PRIVATE_4))),
    ("never", tuple(map(IPv4Network, _NEVER_4))),
)
_BY_REACH_6: tuple[tuple[Reach, tuple[IPv6Network, ...]], ...] = (
    ("local", tuple(map(IPv6Network, _LOCAL_6))),
    ("private", tuple(map(IPv6Network, _PRIVATE_6))),
    ("never", tuple(map(IPv6Network, _NEVER_6))),
)


def reach_of(text: str) -> Reach:
    """Say what kind of place an address is; what cannot be read is `never`.

    The ranges: IANA's special-purpose address registries (RFC 6890). An IPv4 address inside an IPv6 one (RFC 4291, 2.5.5.2; RFC 6052)
    counts as itself; the other ways to hide one, 6to4 and Teredo, are `never`.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return "never"
    return _reach_4(address) if isinstance(address, IPv4Address) else _reach_6(address)


def _reach_4(address: IPv4Address) -> Reach:
    found: Reach | None = next((reach for reach, networks in _BY_REACH_4 if any(address in network for network in networks)), None)
    return found or "public"


def _reach_6(address: IPv6Address) -> Reach:
    if address in _MAPPED or address in _NAT64:
        return _reach_4(IPv4Address(int(address) & 0xFFFF_FFFF))
    found: Reach | None = next((reach for reach, networks in _BY_REACH_6 if any(address in network for network in networks)), None)
    return found or ("public" if address in _GLOBAL_6 else "never")
