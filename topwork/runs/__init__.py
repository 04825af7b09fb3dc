"""The run folder: what a run was asked, what happened, what it learned; and what may be done with it later.

Imports `topwork.store` and what comes before it. Read `topwork.runs.folder` first.
"""
