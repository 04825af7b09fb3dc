"""Read pictures and labels from their sources, with one module per kind of source: folders, tables, arrays, runs.

Imports `topwork.data`; `topwork.data.readers` imports these modules. Read `topwork.data.reading.folders` first.
"""
