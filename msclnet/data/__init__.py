"""Packs of a data set's images, and the batches that a training takes from them."""
