"""The quality of pictures: find out which pictures decode, and which are near-copies of each other.

Imports `topwork.data`. Read `topwork.data.quality.near_copies` first.
"""
