"""Which network and which place suit the data: candidates, their scores, a choice.

Read `topwork.scoring.choosing.choose` first.
"""
