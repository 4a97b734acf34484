"""What goes wrong and can be mended: every error a user meets is one of these."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: scripts end with its message and exit status 1, without a traceback."""


class DataError(UserError):
    """A data set, pack or feature file is not as its contract says.

    The message names the file, what was found, what was expected and what to do.
    """


class ConfigError(UserError):
    """A key or value of the configuration is wrong; the message names the key and what would be right."""


class StorageError(UserError):
    """A file cannot be written, or has no room on its disk; the message says what to free or to mend."""
