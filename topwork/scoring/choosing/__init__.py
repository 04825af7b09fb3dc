"""Choose the network and the place that suit the data: find candidates, score them, propose one.

Read `topwork.scoring.choosing.choose` first.
"""
