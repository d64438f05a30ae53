"""What an evaluation found: curves, pictures, a page to read."""
