"""The backbones: a table of them by name, which does not need Keras, and functions that build them.

Read `topwork.networks.backbones.catalogue` first.
"""
