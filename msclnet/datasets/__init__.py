"""The data sets: all that is peculiar to one, in one file."""
