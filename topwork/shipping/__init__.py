"""Shipping a model: the exported file, the check that it must pass, and the predictor that reads it.

Imports `topwork.scoring` and what comes before it; `topwork.shipping.predictor` imports no Keras. Read
`topwork.shipping.export` first.
"""
