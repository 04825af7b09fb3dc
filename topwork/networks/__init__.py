"""Networks and how they are cut: graphs, places, trunks, heads, and the model that a run trains.

Imports `topwork.data` and what comes before it. Read `topwork.networks.graph` first, then `topwork.networks.halves`.
"""
