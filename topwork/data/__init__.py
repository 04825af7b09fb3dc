"""Rows and pixels: read labelled pictures from any source, split them, decode them, and make their views.

Imports `topwork.recipes` and the packages below that. Read `topwork.data.readers` first, then `topwork.data.dataset`.
"""
