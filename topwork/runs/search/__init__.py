"""The files of a search in a run folder: what it decided by the clock, and what it tried.

It imports what ``topwork.runs`` may import.
"""
