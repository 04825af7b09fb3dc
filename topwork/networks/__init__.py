"""Networks and how they are cut: graphs, places, trunks, heads, and the model that a run trains.

Imports `topwork.data` and the folders that come before it. Read `topwork.networks.graph` first, then
`topwork.networks.halves`.
"""
