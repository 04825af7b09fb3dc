"""Rows and pixels: pictures with labels from wherever they are, their split, their decoding, their views.

Imports `topwork.recipes` and what comes before it. Read `topwork.data.readers` first, then `topwork.data.dataset`.
"""
