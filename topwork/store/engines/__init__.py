"""Run trunks, in a worker process or in this process.

Read `topwork.store.engines.local` first.
"""
