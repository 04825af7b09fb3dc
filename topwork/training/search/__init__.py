"""A search within a stated time: which network, where to cut it, and how to train the opened layers.

Read `topwork.training.search.searching` first.
"""
