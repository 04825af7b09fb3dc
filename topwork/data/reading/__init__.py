"""One module for each place that pictures and labels come from: folders, tables, arrays, runs.

Imports `topwork.data`; `topwork.data.readers` imports these modules. Read `topwork.data.reading.folders` first.
"""
