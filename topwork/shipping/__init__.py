"""What leaves the house: the exported file, the gate that it passes, and the predictor that reads it.

Imports `topwork.scoring` and what comes before it; `topwork.shipping.predictor` imports no Keras. Read
`topwork.shipping.export` first.
"""
