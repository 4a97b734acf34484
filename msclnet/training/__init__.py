"""A training, from the first batch to the model."""
