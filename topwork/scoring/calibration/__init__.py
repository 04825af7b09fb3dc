"""What a model knows of its own mistakes: probabilities that say how often it is right."""
