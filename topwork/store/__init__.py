"""Request, compute, store and read the activations at a cut; each is computed only once.

This package imports `topwork.networks` and the packages that come before it. Read `topwork.store.request` first, then
`topwork.store.extract`.
"""
