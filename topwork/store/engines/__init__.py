"""Where trunks run: in a process beside the caller or in this one.

Read `topwork.store.engines.local` first.
"""
