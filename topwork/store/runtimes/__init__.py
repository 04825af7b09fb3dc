"""The runtimes that run a trunk: ``openvino`` and ``keras``.

Read `topwork.store.runtimes.base` first.
"""
