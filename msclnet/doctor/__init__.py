"""``msclnet doctor``: whether a machine trains rightly, and how fast."""
