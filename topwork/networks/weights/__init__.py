"""Weights files: which file a network needs, where it is, and whether it is the published one.

Read `topwork.networks.weights.pretrained` first.
"""
