"""The second article: a frozen, pooled EfficientNetB0, then batch-norm, dropout of 0.5 and a dense layer.

The article's early stopping is left out, so that both sides train the same number of epochs. Its checkpoint of the
best epoch is kept.
"""

import tempfile
import time
from pathlib import Path

import keras

from benchmarks.scripts.common import Clock, arguments, classes, folders, names, network, preprocessing, tell


def main() -> None:
    options = arguments(__doc__)
    train, val, test = folders(options, preprocessing(options))
    base = network(options, pooling="avg")
    for layer in base.layers:
        layer.trainable = False
    x = keras.layers.BatchNormalization()(base.output)
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(base.input, keras.layers.Dense(classes(options), activation="softmax")(x))
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=[keras.metrics.AUC()])
    built, clock = time.perf_counter(), Clock()
    whole = len(list(options.data.glob("train/*/*"))) // options.batch  # the last short batch is dropped
    with tempfile.TemporaryDirectory() as folder:
        best = keras.callbacks.ModelCheckpoint(Path(folder, "best.keras"), monitor="val_loss", save_best_only=True)
        model.fit(
            train.repeat(),
            validation_data=val,
            epochs=options.epochs[0],
            steps_per_epoch=max(whole, 1),
            verbose=0,
            callbacks=[clock, best],
        )
    tell(model, test, names(options), built, [clock])


if __name__ == "__main__":
    main()
