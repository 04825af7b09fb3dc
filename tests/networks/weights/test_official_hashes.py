"""The published hashes agree with the installed Keras; test_catalogue.py checks file by file."""

import inspect
import re

import keras
import pytest

from topwork.networks.backbones.catalogue import TABLE
from topwork.networks.weights.official import PUBLISHED, algorithm

UNPUBLISHED = ("MobileNet", "MobileNetV2")
OF_KERAS = [entry for entry in TABLE.values() if entry.builder]


def source(builder):
    """Return the source of the module in which Keras builds a network and names its file and hash."""
    return inspect.getsource(inspect.getmodule(getattr(keras.applications, builder)))


def test_every_file_but_those_of_mobilenets_has_one():
    assert set(PUBLISHED) == {entry.file for entry in OF_KERAS if entry.builder not in UNPUBLISHED}


@pytest.mark.parametrize("builder", UNPUBLISHED)
def test_keras_publishes_none_for_mobilenets(builder):
    assert "get_file" in source(builder)
    assert "hash" not in source(builder)


def test_all_stand_in_the_source_of_keras():
    text = "".join(source(entry.builder) for entry in OF_KERAS)
    assert set(PUBLISHED.values()) <= set(re.findall(r'"([0-9a-f]{32}|[0-9a-f]{64})"', text))


def test_the_algorithm_is_told_by_the_number_of_digits():
    assert {algorithm(PUBLISHED[f"convnext_{size}_notop.h5"]) for size in ("tiny", "xlarge")} == {"sha256"}
    assert {algorithm(digest) for file, digest in PUBLISHED.items() if "convnext" not in file} == {"md5"}
