"""The linear probe: how well classes can be told from features by planes, each picture judged by others."""

from collections.abc import Sequence

import numpy as np


def probe(features: np.ndarray, labels: np.ndarray, tests: Sequence[Sequence[int]]) -> np.ndarray:
    """Which pictures a logistic regression on standardised features gets right that was not trained on them.

    Mean and scale are taken from the training rows of each fold alone. The penalty is scikit-learn's default
    (``C = 1``): it is the same for all features, and nothing is tuned.

    Args:
        features: float ``[n, d]``.
        labels: ``[n]``.
        tests: the rows that each fold tests; every row stands in one of them.

    Returns:
        bool ``[n]``.

    Example:
        >>> features = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> probe(features, np.array(["a", "a", "b", "b"]), [[0, 2], [1, 3]])
        array([ True,  True,  True,  True])
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    everything = np.arange(len(labels))
    cv = [(np.setdiff1d(everything, test), np.asarray(test)) for test in tests]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return cross_val_predict(model, features, labels, cv=cv) == labels
