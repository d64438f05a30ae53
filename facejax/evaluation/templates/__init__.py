"""Templates of several images, as IJB compares them."""
