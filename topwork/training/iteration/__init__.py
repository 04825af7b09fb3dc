"""A phase that is trained epoch by epoch: batches, optimizer, callbacks, and the call of Keras' ``fit``.

Read `topwork.training.iteration.phase` first.
"""
