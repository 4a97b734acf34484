"""What is secret in an address is not in what is shown of it."""

from __future__ import annotations

import pytest

from msclnet.core.address import masked, without_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://server:5000", "http://server:5000"),
        ("", ""),
        ("https://ann:geheim@server/mlflow", "https://***@server/mlflow"),
        ("http://ann:ge@heim@server:1", "http://***@server:1"),
        ("http://ann:ge/h@eim@server:1", "http://***@server:1"),
        ("postgresql+psycopg2://ann:geheim@server/db", "postgresql+psycopg2://***@server/db"),
        ("postgresql://server/db?user=ann&password=geheim&x=1", "postgresql://server/db?user=ann&password=***&x=1"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
    ],
)
def test_user_and_password_are_covered(address: str, shown: str) -> None:
    assert masked(address) == shown


@pytest.mark.parametrize("password", ["geheim", "ge@heim", "ge%40heim", "ge heim", "ge/heim@xyz"])
def test_a_message_holds_no_form_of_the_password(password: str) -> None:
    address = f"http://ann:{password}@server:1/"
    for part in (address, address[:-1], f"ann:{password}", password, "ge%40heim", "ge@heim", "ge%20heim", "ann:ge"):
        hidden = without_secrets(f"cannot reach <{part}>: no route", address)
        assert hidden.endswith(">: no route")
        assert password not in hidden


def test_a_message_about_a_file_is_left_alone() -> None:
    assert without_secrets("unable to open a@b.db", "sqlite:////x/a@b.db") == "unable to open a@b.db"
