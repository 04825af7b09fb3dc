"""How good a run is: its answers, their scores with intervals, comparisons and plots.

Imports `topwork.runs` and what comes before it. Read `topwork.scoring.answers` first, then `topwork.scoring.metrics`.
"""
