"""The quality of pictures: which of them decode, and which are near-copies of each other.

Imports `topwork.data`. Read `topwork.data.quality.near_copies` first.
"""
