"""What a run is worth: its answers, their scores with intervals, comparisons and plots.

Imports `topwork.runs` and what comes before it. Read `topwork.scoring.answers` first, then `topwork.scoring.metrics`.
"""
