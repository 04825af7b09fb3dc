"""Exported files are opened with the runtime of their format."""

import onnxruntime

from tests.colours import ABOUT, export
from topwork.shipping.predictor import Predictor


def test_onnx_runtime_reports_nothing_to_its_makers(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: asked.append(1))
    Predictor(export(tmp_path / "m.onnx", ABOUT))
    assert asked
