"""The tracking server's address, which may hold a password: how it travels, and how it is shown.

A command line is every user's to read, and Snakemake keeps those of its jobs. So the address goes through the
environment, and whatever is printed or kept of it is masked.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote

VARIABLE = "MSCLNET_TRACKING_URI"
COVER = "***"
USER = re.compile(r"(?<=://).*(?=@)")  # and password; to the last @, for a password may hold others
QUERY = re.compile(r"(?<=[?&])([^=&]*(?:pass|pwd|secret|token|key)[^=&]*=)([^&]+)", re.IGNORECASE)
TELLING = 3  # characters: anything shorter is a part of too many words


def from_environment() -> str:
    """The address that this process was given; empty for none."""
    return os.environ.get(VARIABLE, "")


def masked(address: str) -> str:
    """An address as it may be shown.

    Args:
        address: of a server, a database or a file.

    Returns:
        The same without user, password and whatever its query calls a secret.
    """
    return address if address.startswith("sqlite:") else QUERY.sub(rf"\1{COVER}", USER.sub(COVER, address))


def without_secrets(text: str, address: str) -> str:
    """A message about an address as it may be shown.

    Args:
        text: the message, which may hold the address or a part of it.
        address: the address.

    Returns:
        The message, what is secret in it covered, be it quoted for an address or not.
    """
    if address.startswith("sqlite:"):
        return text
    user = "".join(USER.findall(address))
    secrets = [user, user.partition(":")[2], *(value for _, value in QUERY.findall(address))]
    secrets += [part for secret in secrets[1:] for part in re.split("[@/:?#]", secret)]  # of a host misread
    for whole in (address, address.rstrip("/")):
        text = text.replace(whole, masked(whole))
    for secret in secrets:
        for form in (secret, quote(secret, safe=""), unquote(secret)):
            if len(form) >= TELLING:
                text = text.replace(form, COVER)
    return text
