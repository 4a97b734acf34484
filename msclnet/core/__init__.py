"""The words every package shares: types, errors, whole files."""
