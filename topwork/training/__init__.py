"""Above the cut: runs prepared, trained, resumed, cross-validated and joined.

Imports `topwork.shipping` and what comes before it. Read `topwork.training.train` first, then
`topwork.training.trainer`.
"""
