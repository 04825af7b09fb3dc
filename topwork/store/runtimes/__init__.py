"""The runtimes that execute a trunk: ``openvino`` and ``keras``.

Read `topwork.store.runtimes.base` first.
"""
