from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, strategies as st

from agent_sdk.tools.http.addresses import reach_of

ADDRESSES = st.one_of(
    st.ip_addresses(),
    st.integers(0, 2**32 - 1).map(lambda low: IPv6Address((0xFFFF << 32) | low)),
    st.integers(0, 2**32 - 1).map(lambda low: IPv6Address((0x64FF9B << 96) | low)),
    st.integers(0, 2**32 - 1).map(lambda low: IPv6Address((0x2002 << 112) | (low << 80))),
)


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
        ("::ffff:8.8.8.8", "public"),
        ("64:ff9b::8.8.8.8", "public"),
        ("127.0.0.1", "private"),
        ("127.255.255.254", "private"),
        ("10.1.2.3", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("100.64.0.1", "private"),
        ("198.19.0.1", "private"),
        ("::1", "private"),
        ("fd12::1", "private"),
        ("::ffff:127.0.0.1", "private"),
        ("64:ff9b::10.0.0.1", "private"),
        ("169.254.169.254", "local"),
        ("::ffff:169.254.169.254", "local"),
        ("168.63.129.16", "local"),
        ("100.100.100.200", "local"),
        ("fe80::1", "local"),
        ("fe80::1%eth0", "local"),
        ("fd00:ec2::254", "local"),
        ("0.0.0.0", "never"),
        ("0.1.2.3", "never"),
        ("::", "never"),
        ("::127.0.0.1", "never"),
        ("192.0.0.192", "never"),
        ("224.0.0.1", "never"),
        ("255.255.255.255", "never"),
        ("240.0.0.1", "never"),
        ("ff02::1", "never"),
        ("fec0::1", "never"),
        ("2002:7f00:1::", "never"),
        ("2001::1", "never"),
        ("64:ff9b:1::1", "never"),
        ("2001:db8::1", "never"),
        ("127.1", "never"),
        ("0x7f000001", "never"),
        ("", "never"),
        ("example.org", "never"),
    ],
)
def test_each_kind_of_address_is_known(address: str, reach: str) -> None:
    assert reach_of(address) == reach


@given(ADDRESSES)
def test_what_counts_as_public_is_global_for_the_standard_library_too(address: IPv4Address | IPv6Address) -> None:
    if reach_of(str(address)) == "public":
        inner = ip_address(int(address) & 0xFFFF_FFFF) if address in _Embedded() else address
        assert inner.is_global
        assert not inner.is_multicast


class _Embedded:
    """Holds the IPv6 addresses that are an IPv4 address in other clothes."""

    def __contains__(self, address: object) -> bool:
        return isinstance(address, IPv6Address) and int(address) >> 32 in {0xFFFF, 0x64FF9B << 64}
