"""Training: state, optimiser, step, loop; and compression with retraining."""
