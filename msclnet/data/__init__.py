"""Data sets: readers that check them, the drawn stand-in, packing, and the batches of a training."""
