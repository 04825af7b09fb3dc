"""What the bytes and pixels of pictures say of each other: which decode, and which are near-copies.

Imports `topwork.data`. Read `topwork.data.quality.near_copies` first.
"""
