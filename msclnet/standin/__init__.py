"""Drawn people, who stand in for the real sets."""
