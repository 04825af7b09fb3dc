"""The files of a search in a run folder: what it decided by the clock, and what it tried.

Read `topwork.runs.search.decisions` first.
"""
