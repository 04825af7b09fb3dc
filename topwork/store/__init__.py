"""Below the cut, once per picture: activations are requested, computed, stored and read.

Imports `topwork.networks` and what comes before it. Read `topwork.store.request` first, then `topwork.store.extract`.
"""
