"""The quality of a run: its answers, their scores with intervals, comparisons and plots.

Imports `topwork.runs` and what comes before it. Read `topwork.scoring.answers` first, then `topwork.scoring.metrics`.
"""
