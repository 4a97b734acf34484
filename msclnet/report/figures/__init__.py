"""What people look at: every figure of the report, each with its numbers as CSV beside it."""
