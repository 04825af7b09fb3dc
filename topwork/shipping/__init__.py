"""Shipping a model: the exported file, the check that it must pass, and the predictor that reads it.

The modules may import `topwork.scoring` and the packages before it; `topwork.shipping.predictor` does not import
Keras. Read `topwork.shipping.export` first.
"""
