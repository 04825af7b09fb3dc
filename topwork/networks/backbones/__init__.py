"""The backbones by name: a table that needs no Keras, and what builds them.

Read `topwork.networks.backbones.catalogue` first.
"""
