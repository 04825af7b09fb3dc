"""The run folder: the recipe, the journal, the weights and the results of a run; and how later commands use them.

Imports `topwork.store` and what comes before it. Read `topwork.runs.folder` first.
"""
