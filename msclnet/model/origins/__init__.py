"""Whose checkpoints are read, a file each; what lies in the table (table.py) is recognised by ``msclnet import``."""
