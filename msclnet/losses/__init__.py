"""One equation, one function: ``baseline`` (AGW), ``synergy`` (MS), ``complement`` (MC), ``cascade`` (CA)."""
