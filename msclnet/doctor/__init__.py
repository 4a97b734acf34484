"""``msclnet doctor``: whether a machine trains correctly, and how fast."""
