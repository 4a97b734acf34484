"""Which interface the processes of a job meet on: the loopback's, and on several nodes the user's, or a warning."""

from __future__ import annotations

import os
import socket

import pytest

from msclnet.core.errors import UserError
from msclnet.launch import torchrun
from msclnet.launch.interface import GLOO, LOOPBACK, NCCL, address_of, bind, interface_to


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (GLOO, NCCL):
        monkeypatch.setenv(name, "")  # so that what is set in a test is taken back
        monkeypatch.delenv(name)


def loopback() -> str:
    """The loopback interface's name."""
    (name,) = {name for _, name in socket.if_nameindex() if address_of(name) == LOOPBACK}
    return name


def test_the_interface_on_the_way_to_a_host() -> None:
    assert interface_to(LOOPBACK) == loopback()
    assert interface_to("no address") is None
    assert address_of("nosuch0") is None


def test_an_interface_that_the_user_has_chosen_is_kept_on_several_nodes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GLOO, "ib0")
    bind(LOOPBACK, alone=False)
    assert (os.environ[GLOO], os.environ[NCCL]) == ("ib0", f"={loopback()}")
    bind(LOOPBACK, alone=True)
    assert (os.environ[GLOO], os.environ[NCCL]) == (loopback(), f"={loopback()}")


def test_a_host_that_no_interface_leads_to_binds_nothing() -> None:
    bind("no address", alone=True)
    assert {GLOO, NCCL}.isdisjoint(os.environ)


def test_the_first_node_is_reached_on_the_chosen_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GLOO, loopback())
    assert torchrun._first_node() == LOOPBACK
    monkeypatch.setenv(GLOO, "nosuch0")
    with pytest.raises(
        UserError, match=f"{GLOO}=nosuch0: no interface of .* with an IPv4 address; `ip -brief address`"
    ):
        torchrun._first_node()


@pytest.mark.parametrize(("leads_to", "warned"), [("10.1.2.3", False), ("127.0.1.1", True), (None, True)])
def test_a_name_that_leads_back_to_its_own_node_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], leads_to: str | None, warned: bool
) -> None:
    def resolved(name: str) -> str:
        if leads_to is None:
            raise socket.gaierror
        return leads_to

    monkeypatch.setattr(socket, "gethostname", lambda: "node1")
    monkeypatch.setattr(socket, "gethostbyname", resolved)
    assert torchrun._first_node() == "node1"
    said = f"warning: the name node1 leads to {leads_to or 'nowhere'} on this node"
    assert capsys.readouterr().err.startswith(said) is warned
