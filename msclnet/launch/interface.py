"""The network interface that the processes of a job talk over: where else they listened, strangers could come in."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

LOOPBACK = "127.0.0.1"
GLOO, NCCL = "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"  # the interfaces that they bind to
SIOCGIFADDR = 0x8915  # of ioctl(2): an interface's IPv4 address


def bind(host: str, alone: bool) -> None:
    """Binds gloo and NCCL, of the processes that this one starts, to the interface on the way to ``host``.

    Args:
        host: the first node of the job; with ``alone`` the loopback's address.
        alone: whether the job has one node. On several, an interface that the user has chosen is kept.
    """
    interface = interface_to(host)
    if interface and alone:
        os.environ[GLOO], os.environ[NCCL] = interface, f"={interface}"
    elif interface:
        os.environ.setdefault(GLOO, interface)
        os.environ.setdefault(NCCL, f"={interface}")


def interface_to(host: str) -> str | None:
    """The name of this machine's interface on the way to ``host``; None where IPv4 knows none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))  # sends nothing
        except OSError:
            return None
        mine = probe.getsockname()[0]
    return next((name for _, name in socket.if_nameindex() if address_of(name) == mine), None)


def address_of(interface: str) -> str | None:
    """The IPv4 address of an interface; None where it has none, or is not there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            found = fcntl.ioctl(asked, SIOCGIFADDR, struct.pack("256s", os.fsencode(interface)[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(found[20:24])
