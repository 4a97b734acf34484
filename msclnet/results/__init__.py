"""What trainings leave behind: its layout, scores, tables."""
