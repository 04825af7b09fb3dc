"""Plots as PNG. Each plot is a function with its own figure.

Read `topwork.scoring.plots.style` first.
"""
