"""Below the cut, once per picture: what is asked for, computed, stored, and read back.

Imports `topwork.networks` and what comes before it. Read `topwork.store.request` first, then `topwork.store.extract`.
"""
