"""What a complete model says beside its probabilities."""
