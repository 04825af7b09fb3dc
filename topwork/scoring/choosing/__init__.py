"""Choose the network and the place that suit the data: candidates, their scores, a choice.

Read `topwork.scoring.choosing.choose` first.
"""
