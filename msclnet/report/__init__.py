"""What people look at: figures, explanations, pages."""
