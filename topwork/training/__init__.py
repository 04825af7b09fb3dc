"""Everything above the cut: prepare, train, resume, cross-validate and join runs.

Imports `topwork.shipping` and the folders that come before it. Read `topwork.training.train` first, then
`topwork.training.trainer`.
"""
