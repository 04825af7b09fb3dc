"""Late fusion: finished runs joined at their probabilities.

Read `topwork.training.fusion.joining` first.
"""
