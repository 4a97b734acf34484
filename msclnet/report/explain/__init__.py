"""What a trained network does with single images: its ranked lists, and where it looks."""
