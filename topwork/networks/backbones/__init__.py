"""The backbones by name: a table that needs no Keras, and functions that build them.

Read `topwork.networks.backbones.catalogue` first.
"""
