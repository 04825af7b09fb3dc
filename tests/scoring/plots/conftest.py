import logging
import warnings

import pytest


@pytest.fixture(autouse=True)
def _no_warnings():
    heard = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    logging.getLogger().removeHandler(handler)
    assert heard == []
