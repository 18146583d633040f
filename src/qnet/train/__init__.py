"""Training: data, fitting, checkpoints. Keras is imported when a network is fitted."""
