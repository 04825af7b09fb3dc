"""The plain Keras script that writes a model as ONNX: load it, call it once, as Keras demands, and export it."""

import sys

import keras
import numpy as np

model = keras.models.load_model(sys.argv[1], compile=False)
model(np.zeros((1, *model.input_shape[1:]), "uint8"))
model.export(sys.argv[2], format="onnx", verbose=False)
