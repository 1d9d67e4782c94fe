"""An alert goes to public addresses, and to others where the operator says so; a name can't be turned against it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from service.host_guard import Forbidden, Guard

PRIVATE = (
    "127.0.0.1",
    "127.8.9.10",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "169.254.169.254",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
)


def leads_to(*addresses: str) -> object:
    def look_up(host: str, port: int) -> Sequence[str]:
        return addresses

    return look_up


def called(guard: Guard, host: str, *addresses: str) -> tuple[str, ...]:
    return guard.addresses(host, 443, leads_to(*addresses))  # type: ignore[arg-type]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_not_called(address: str) -> None:
    with pytest.raises(Forbidden, match="INCUMBENT_ALERT_HOSTS can allow it"):
        called(Guard(), "hooks.example.org", address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"]
)
def test_what_is_public_is_called(address: str) -> None:
    assert called(Guard(), "hooks.example.org", address) == (address,)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(Forbidden, match=r"10\.0\.0\.1"):
        called(Guard(), "hooks.example.org", "93.184.216.34", "10.0.0.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "fd00::5", "::ffff:10.0.0.1"])
def test_a_name_that_is_allowed_may_lead_into_the_own_network(address: str) -> None:
    guard = Guard.of(["Hooks.Internal."])
    assert called(guard, "hooks.internal", address) == (address,)
    with pytest.raises(Forbidden):
        called(guard, "other.internal", address)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "224.0.0.1", "0.0.0.0", "fe80::1", "100.64.0.1", "198.18.0.1"]
)
def test_an_allowed_name_never_leads_to_metadata_or_what_is_no_hosts_own_address(address: str) -> None:
    with pytest.raises(Forbidden):
        called(Guard.of(["hooks.internal"]), "hooks.internal", address)


def test_a_network_is_allowed_whatever_it_is() -> None:
    guard = Guard.of(["169.254.169.0/24", "10.0.0.5", "[fd00::1]"])
    for address in ("169.254.169.254", "10.0.0.5", "fd00::1", "::ffff:10.0.0.5"):
        assert called(guard, "x.example.org", address) == (address,)
    with pytest.raises(Forbidden):
        called(guard, "x.example.org", "10.0.0.6")


def test_with_only_nothing_else_is_called() -> None:
    guard = Guard.of(["hooks.example.org", "10.0.0.0/8"], only=True)
    assert called(guard, "hooks.example.org", "93.184.216.34")
    assert called(guard, "any.example.org", "10.9.9.9")
    with pytest.raises(Forbidden, match="only what INCUMBENT_ALERT_HOSTS names"):
        called(guard, "any.example.org", "93.184.216.34")


@pytest.mark.parametrize("entry", ["", "http://x", "10.0.0.0/99", "host:80"])
def test_an_entry_that_is_no_host_is_refused_at_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host name, address or network"):
        Guard.of([entry])


def test_a_host_without_address_is_not_found() -> None:
    with pytest.raises(OSError, match="no address"):
        called(Guard(), "hooks.example.org")
