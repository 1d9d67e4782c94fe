"""Which addresses a channel may lead to. A channel's address comes from outside, and the server can reach what its author
can't (SSRF): so only public addresses are called, and of others those that the operator allows by name or network."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

SETTING = "INCUMBENT_ALERT_HOSTS"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LAN = (
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("172.16.0.0/12"),
    ipaddress.ip_network("192.168.0.0/16"),
)
_LAN_6 = ipaddress.ip_network("fc00::/7")


class Forbidden(Exception):
    """The host may not be called; the message says why and what the operator can do."""


def resolve(host: str, port: int) -> tuple[str, ...]:
    """All addresses of the host, in the order to try them. Raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """``hosts`` are names that may lead to this machine and its own network, ``networks`` addresses that may be called
    whatever they are. With ``only`` nothing else may be called, public addresses neither."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    only: bool = False

    @classmethod
    def of(cls, entries: Sequence[str], *, only: bool = False) -> Guard:
        """``entries`` are host names, addresses and networks. Raises ValueError for one that is none of these."""
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                if not entry or "/" in entry or ":" in entry:
                    raise ValueError(f"{entry!r} is no host name, address or network (10.0.0.0/8)") from None
                hosts.add(_plain(entry))
        return cls(hosts=frozenset(hosts), networks=tuple(networks), only=only)

    def addresses(self, host: str, port: int, look_up: Resolve = resolve) -> tuple[str, ...]:
        """The addresses of the host, each of which may be called: whoever connects has to use these and none that is
        looked up later. Raises Forbidden, OSError."""
        found = look_up(host, port)
        for text in found:
            reason = self._objection(_plain(host), _parsed(text))
            if reason is not None:
                raise Forbidden(f"{host} leads to {text}, {reason}; {SETTING} can allow it")
        if not found:
            raise OSError(f"{host} has no address")
        return tuple(found)

    def _objection(self, host: str, address: Address) -> str | None:
        if any(address in network for network in self.networks):
            return None
        named = host in self.hosts
        if self.only and not named:
            return f"and only what {SETTING} names may be called"
        if named and _is_near(address):
            return None
        if address.is_multicast or address.is_unspecified or address.is_link_local or address.is_reserved:
            # A name does not help: metadata services of clouds live on link-local addresses.
            return "which is no host's own address (link-local, multicast or reserved)"
        return None if address.is_global else "which is not a public address"


def _parsed(text: str) -> Address:
    """The address, and of one that carries an IPv4 address inside, that one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _is_near(address: Address) -> bool:
    """This machine, or an address that is given out in private networks."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_loopback or any(address in network for network in _LAN)
    return address.is_loopback or address in _LAN_6


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
