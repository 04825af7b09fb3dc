"""A search within a stated time: which network, where to cut it, and how to train the opened layers.

Start with ``searching``. Only ``topwork.training.train``, ``run`` and ``cross_validate`` import this folder.
"""
