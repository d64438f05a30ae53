"""Pure array maths: no flax, no input or output."""
