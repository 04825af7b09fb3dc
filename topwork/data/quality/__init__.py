"""The quality of pictures: which decode, which are copies or crops of each other, and which look unlike the others.

Imports `topwork.data`. Read `topwork.data.quality.near_copies` first.
"""
