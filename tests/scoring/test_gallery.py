"""Which test pictures are shown, and how they reach the process that draws."""

import numpy as np

from topwork.data.dataset import Dataset, Row
from topwork.data.pictures import thumbnail
from topwork.scoring.gallery import chosen, content, gallery

CLASSES = ("cat", "dog", "owl")


def answers(*pairs):
    """Return labels and probabilities from triples: label, predicted label and its probability."""
    labels = np.array([CLASSES.index(label) for label, _, _ in pairs])
    probabilities = np.array([[p if name == said else (1 - p) / 2 for name in CLASSES] for _, said, p in pairs])
    return labels, probabilities


def test_wrong_ones_come_first_the_surest_first_then_classes_in_turn():
    found = answers(
        ("cat", "cat", 0.9), ("cat", "dog", 0.6), ("cat", "cat", 0.5), ("dog", "dog", 0.7), ("owl", "cat", 0.8),
        ("owl", "owl", 0.4),
    )  # fmt: skip
    assert chosen(*found) == [4, 1, 0, 3, 5, 2]


def test_half_are_wrong_at_most_unless_there_are_too_few_right_ones():
    many = answers(*[("cat", "dog", 0.5 + i / 100) for i in range(20)], *[("dog", "dog", 0.9)] * 20)
    assert chosen(*many, count=10) == [19, 18, 17, 16, 15, 20, 21, 22, 23, 24]
    few = answers(*[("cat", "dog", 0.5 + i / 100) for i in range(20)], ("dog", "dog", 0.9))
    assert chosen(*few, count=6) == [19, 18, 17, 16, 15, 20]


def shown(*pairs):
    rows = tuple(Row(f"{i}.png", f"{i:064}", label, "test") for i, (label, _, _) in enumerate(pairs))
    every = (*rows, *(Row(f"{name}.png", name, name, "train") for name in CLASSES))
    return gallery(Dataset("/d", every), rows, *answers(*pairs))


def test_tiles_say_where_what_and_how_sure():
    found = shown(("cat", "cat", 0.75), ("owl", "dog", 0.5))
    assert found["tiles"] == [
        {
            "pictures": ["/d/1.png"],
            "name": "1.png",
            "label": "owl",
            "predicted": "dog",
            "numbers": [2, 1],
            "probability": 0.5,
        },
        {
            "pictures": ["/d/0.png"],
            "name": "0.png",
            "label": "cat",
            "predicted": "cat",
            "numbers": [0, 0],
            "probability": 0.75,
        },
    ]


def test_the_heading_says_how_many_are_right_and_what_is_red():
    right, wrong = ("cat", "cat", 0.8), ("cat", "dog", 0.8)
    end = " True label → predicted (its probability)."
    assert shown(right)["heading"] == "1 of 1 test picture right." + end
    assert shown(right, wrong)["heading"] == "1 of 2 test pictures right. In red: the wrong one." + end
    red = " In red: the wrong ones, the surest first."
    assert shown(right, wrong, wrong)["heading"] == "1 of 3 test pictures right." + red + end
    red = " In red: 12 of the 20 wrong ones, the surest first."
    assert shown(*[right] * 1500, *[wrong] * 20)["heading"] == "1,500 of 1,520 test pictures right." + red + end


def test_pictures_that_lie_in_memory_go_along():
    for shape in ((3, 5, 4), (3, 5, 4, 1), (3, 5, 4, 3), (3, 5, 4, 4)):
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        pixels[..., 3:] = 255
        rows = tuple(Row(f"X[{i}]", str(i), name, "test") for i, name in enumerate(CLASSES))
        found = gallery(Dataset("", rows, pixels=pixels), rows[2:], np.array([2]), np.array([[0.1, 0.2, 0.7]]))
        (source,) = found["tiles"][0]["pictures"]
        expected = np.broadcast_to(pixels[2].reshape(5, 4, -1)[..., :3], (5, 4, 3))
        np.testing.assert_array_equal(thumbnail(content(source), 100), expected)


def test_a_row_shows_all_its_pictures():
    rows = tuple(
        Row(f"f{i}.png", str(i), name, "test", further=((f"s{i}.png", f"s{i}"),)) for i, name in enumerate(CLASSES)
    )
    found = gallery(
        Dataset("/d", rows, columns=("front", "side")), rows[:1], np.array([0]), np.array([[0.7, 0.2, 0.1]])
    )
    assert found["tiles"][0]["pictures"] == ["/d/f0.png", "/d/s0.png"]
