"""Late fusion: join finished runs by combining their probabilities.

Read `topwork.training.fusion.joining` first.
"""
