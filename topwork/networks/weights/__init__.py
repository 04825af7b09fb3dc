"""Files of weights: which network wants which, where they are, whether they are as published.

Read `topwork.networks.weights.pretrained` first.
"""
