"""The report: one page about a run, and the summary that it is made from.

Read `topwork.scoring.report.report` first, then `topwork.scoring.report.summary`.
"""
