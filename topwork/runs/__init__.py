"""The run folder: what was asked for, what happened, what was learned; and how later commands use it.

Imports `topwork.store` and what comes before it. Read `topwork.runs.folder` first.
"""
