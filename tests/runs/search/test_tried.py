"""What a search tried is read as it was written."""

from topwork.runs.scores import Rate
from topwork.runs.search.tried import Tried, read, write


def test_it_is_read_as_it_was_written(tmp_path):
    rows = [
        Tried(number=1, cut="x@pool", solved=True, pictures=9, loss=0.5, fold_loss=0.4, fold_accuracy=0.8, kept=True),
        Tried(
            number=2,
            cut="x@a + y@b[front]",
            solved=False,
            batch_norm="train",
            learning_rate=1e-3,
            views=4,
            epochs=6,
            seconds=3.5,
            pictures=9,
            loss=0.25,
            accuracy=Rate(0.75, 0.5, 0.875),
            ended='others were better, "by far"',
        ),
        Tried(number=3, cut="x@a", solved=False, batch_norm="frozen", ended="not tried: the time was used"),
    ]
    write(tmp_path, rows)
    assert read(tmp_path) == rows
    assert read(tmp_path / "elsewhere") == []
