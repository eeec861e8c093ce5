"""What a grid is at any moment, as plain Python objects."""
