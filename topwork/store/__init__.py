"""Activations below the cut are requested, computed (once per picture), stored and read here.

This package imports `topwork.networks` and the packages that come before it. Read `topwork.store.request` first, then
`topwork.store.extract`.
"""
