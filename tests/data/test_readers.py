import csv
import io
import os
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from topwork.data.dataset import Dataset, LeftOut, Row, skipped
from topwork.data.folds import folds
from topwork.data.holdout import with_validation
from topwork.data.labels import column
from topwork.data.picture_files import digest
from topwork.data.readers import read
from topwork.data.reading.folders import walk
from topwork.data.reading.listing import recall, write_csv
from topwork.errors import DatasetError, RecipeError
from topwork.recipes.settings import Training

REAL = os.environ.get("TOPWORK_REAL")
real = pytest.mark.skipif(not REAL, reason="TOPWORK_REAL is not set: the real pictures are not at hand")


def picture(seed, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(file, kind)
    return file.getvalue()


def made(root, **files):
    """Write a folder of pictures from name -> seed or name -> bytes; ``__`` stands for ``/``, and ``.png`` is added."""
    for name, content in files.items():
        path = Path(root, name.replace("__", "/") + ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else picture(content))
    return root


def told(data, **options):
    with pytest.raises(DatasetError) as error:
        read(data, **options)
    return str(error.value)


def two_classes(root, count=20):
    return made(root, **{f"{label}__{i:02d}": 2 * i + k for i in range(count) for k, label in enumerate("ab")})


def test_a_folder_is_read_with_digests_and_splits(tmp_path):
    data = read(str(two_classes(tmp_path)), draw="stratified")
    assert data.root == str(tmp_path.resolve())
    assert [row.path for row in data.rows[:2]] == ["a/00.png", "a/01.png"]
    assert all(row.digest == digest(tmp_path / row.path) for row in data.rows)
    assert data.counts() == {label: {"train": 16, "val": 2, "test": 2} for label in "ab"}
    assert (data.left_out, data.notes, data.pixels) == ((), (), None)
    assert read(tmp_path, draw="stratified") == data


def test_reading_does_not_depend_on_where_the_folder_lies(tmp_path):
    here, there = read(two_classes(tmp_path / "here"), seed=3), read(two_classes(tmp_path / "x" / "there"), seed=3)
    assert here.rows == there.rows


def test_given_parts_stay(tmp_path):
    data = read(made(tmp_path, train__a__1=1, train__b__2=2, Test__a__3=3, Test__b__4=4))
    assert {row.path: row.split for row in data.rows} == {
        "Test/a/3.png": "test",
        "Test/b/4.png": "test",
        "train/a/1.png": "train",
        "train/b/2.png": "train",
    }
    assert data.notes == ()


def test_equal_pictures_in_two_given_parts_are_moved_and_told(tmp_path):
    data = read(made(tmp_path, train__a__1=1, train__b__2=2, test__a__3=1, test__b__4=4))
    assert {row.path: row.split for row in data.rows}["train/a/1.png"] == "test"
    assert "Moved, because equal pictures and groups share a part: 'train/a/1.png' from train to test." in data.notes


def test_what_cannot_be_read_is_left_out_with_its_reason(tmp_path):
    whole = picture(9)
    made(
        two_classes(tmp_path, 4),
        a__empty=b"",
        a__heic=b"\0\0\0\x18ftypheic" + bytes(40),
        b__cut=whole[:90],
        b__text=b"hi",
    )
    always = (
        LeftOut("a/empty.png", "the file is empty"),
        LeftOut(
            "a/heic.png", "HEIC cannot be read; convert it to JPEG, for instance with ImageMagick: magick IN OUT.jpg"
        ),
    )
    decoded = (
        LeftOut("b/cut.png", "a PNG file that is cut short"),
        LeftOut("b/text.png", "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"),
    )
    assert read(tmp_path).left_out == always
    assert read(tmp_path, decode=True).left_out == always + decoded
    assert [row.path for row in read(tmp_path, decode=True).rows] == [
        row.path for row in read(two_classes(tmp_path / "x", 4)).rows
    ]


def test_strict_makes_what_is_left_out_an_error(tmp_path):
    made(two_classes(tmp_path, 4), a__empty=b"", b__cut=picture(9)[:90])
    assert told(tmp_path, strict=True) == (
        "1 picture cannot be used: 'a/empty.png' (the file is empty). Repair or remove them, or use strict=False."
    )
    assert told(tmp_path, strict=True, decode=True) == (
        "2 pictures cannot be used: 'a/empty.png' (the file is empty), 'b/cut.png' (a PNG file that is cut short). "
        "Repair or remove them, or use strict=False."
    )
    assert read(two_classes(tmp_path / "sound"), strict=True, decode=True).left_out == ()


def test_one_picture_under_two_labels_is_left_out_everywhere(tmp_path):
    data = read(
        made(tmp_path, daisy__1=1, a__0=b"", daisy__2=2, roses__0=b"", roses__1=3, roses__2=1, roses__3=1, t__1=4)
    )
    reason = "the same picture is labelled 'daisy' and 'roses', see"
    assert data.left_out == (
        LeftOut("a/0.png", "the file is empty"),
        LeftOut("daisy/1.png", f"{reason} 'roses/2.png'"),
        LeftOut("roses/0.png", "the file is empty"),
        LeftOut("roses/2.png", f"{reason} 'daisy/1.png'"),
        LeftOut("roses/3.png", f"{reason} 'daisy/1.png'"),
    )
    assert [row.path for row in data.rows] == ["daisy/2.png", "roses/1.png", "t/1.png"]


def test_one_picture_twice_under_one_label_is_kept_in_one_part(tmp_path):
    for seed in range(6):
        data = read(made(tmp_path, a__1=1, a__copy=1, b__1=2), split=(0.4, 0.3, 0.3), seed=seed)
        assert data.rows[0].split == data.rows[1].split
        assert len(data.rows) == 3


def test_a_cut_in_place_of_the_pictures(tmp_path):
    assert told("vgg16@pool").endswith(" If it is a cut, name the pictures first.")


def test_copies_with_several_labels_are_one_line(tmp_path):
    data = read(made(tmp_path, a__1=1, a__2=2, a__3=3, b__1=1, b__2=2, b__4=4))
    assert skipped(data.left_out, "runs/one") == [
        "Skipped: 4 pictures: each has a copy with another label ('a' and 'b'): a/1.png, a/2.png, b/1.png, b/2.png"
    ]
    assert {gone.path: gone.reason for gone in data.left_out}["a/1.png"] == (
        "the same picture is labelled 'a' and 'b', see 'b/1.png'"
    )


def test_a_class_that_loses_all_its_pictures_is_told(tmp_path):
    data = read(made(tmp_path, a__1=1, b__2=2, c__3=b""))
    assert data.classes == ("a", "b")
    assert data.notes[0] == "Classes that are left out, as none of their pictures can be used: 'c'."


@pytest.mark.parametrize(("first", "second"), [("Daisy", "daisy"), ("oak tree", "oaktree")])
def test_labels_that_look_alike_are_refused(tmp_path, first, second):
    low, high = sorted((first, second))
    assert told(made(tmp_path, **{f"{first}__1": 1, f"{second}__2": 2, "x__3": 3})) == (
        f"labels {low!r} and {high!r} differ only in case, blanks or invisible characters: "
        "make them one label, or choose names that differ in letters."
    )


def test_one_class_is_refused(tmp_path):
    root = str(tmp_path.resolve())
    assert told(made(tmp_path, a__1=1, a__2=2)) == f"only one class in {root!r}, 'a': expected at least two."
    assert told(made(tmp_path, b__1=b"")) == (
        f"only one class in {root!r}, 'a': expected at least two. "
        "1 picture cannot be used: 'b/1.png' (the file is empty). "
        "Classes that are left out, as none of their pictures can be used: 'b'."
    )


def test_equal_pictures_within_a_class_are_told(tmp_path):
    root = made(tmp_path, a__1=1, a__2=1, a__3=1, b__4=4)
    assert read(root).notes[0] == (
        "Found more than once, 2 pictures: 'a/2.png' (as 'a/1.png'), 'a/3.png' (as 'a/1.png'). "
        "Equal pictures share a part."
    )


def test_nothing_that_can_be_read_is_refused(tmp_path):
    assert told(made(tmp_path, a__1=b"", b__2=b"")) == (
        f"no picture in {str(tmp_path.resolve())!r} can be used. "
        "2 pictures cannot be used: 'a/1.png' (the file is empty), 'b/2.png' (the file is empty)."
    )


def test_what_is_not_there_is_refused(tmp_path):
    path = str(tmp_path.resolve() / "none")
    assert (
        told(path)
        == f"no file or folder {path!r}: expected a folder of pictures, or a file (.csv, .tsv, .parquet, .npz)."
    )
    made(tmp_path, one=1)
    path = str(tmp_path.resolve() / "one.png")
    assert told(path) == (
        f"cannot read {path!r}: expected a folder, or a file whose name ends in one of .csv, .tsv, .parquet, .npz."
    )
    assert told({"a": 1}) == (
        "cannot read dict: expected a folder, a file, arrays (X, y), a pandas DataFrame or a tf.data.Dataset."
    )


def test_a_wrong_draw_is_told_before_anything_is_read():
    for options in ({"split": (1, 1, 1)}, {"draw": "has"}):
        with pytest.raises(RecipeError):
            read("/nowhere", **options)


def test_a_listing_gives_labels_parts_and_groups(tmp_path):
    made(tmp_path, **{f"p{i}": i for i in range(4)})
    (tmp_path / "list.csv").write_text(
        "path,label,split,group\np3.png,b,test,\np0.png,a,train,g\np1.png,a,,g\np2.png,b,,\n"
    )
    data = read(tmp_path / "list.csv")
    assert [(row.path, row.label, row.group) for row in data.rows] == [
        ("p3.png", "b", None),
        ("p0.png", "a", "g"),
        ("p1.png", "a", "g"),
        ("p2.png", "b", None),
    ]
    assert [row.split for row in data.rows[:3]] == ["test", "train", "train"]


@pytest.mark.parametrize("name", ["pictures.csv", "pictures.tsv"])
def test_a_written_listing_is_read_again_as_it_was(tmp_path, name):
    made(two_classes(tmp_path, 5), a__empty=b"", b__cut=picture(9)[:90], **{'a__x, "y"': 77, "b__tab\tü": 78})
    data = read(tmp_path, decode=True, draw="stratified")
    write_csv(data, tmp_path / name)
    again = read(tmp_path / name)
    assert again == replace(data, notes=again.notes)
    assert (len(again.rows), len(again.left_out)) == (12, 2)


def test_the_table_holds_what_is_known_of_each_picture(tmp_path):
    rows = (Row("a/1.png", "0" * 64, "a", "train", "g"), Row("b/1.png", "1" * 64, "b", "test"))
    write_csv(Dataset("/d", rows, (LeftOut("b/2.png", "the file is empty"),)), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().splitlines() == [
        "path,sha256,label,split,group,reason",
        f"a/1.png,{'0' * 64},a,train,g,",
        f"b/1.png,{'1' * 64},b,test,,",
        "b/2.png,,,,,the file is empty",
    ]


def plain(label):
    return "".join(unicodedata.normalize("NFKC", label).split()).casefold()


texts = st.text(st.characters(exclude_categories=["Cs", "Cf"], exclude_characters="\0"), min_size=1, max_size=9)
texts = texts.map(lambda text: column([text, "x"])[0]).filter(bool)  # next to x, no number is rounded


@given(labels=st.lists(texts, min_size=2, max_size=6, unique_by=plain).map(column))
@settings(max_examples=50, deadline=None)
def test_any_label_survives_a_table(labels, tmp_path_factory):
    root = tmp_path_factory.getbasetemp()
    made(root, **{f"p{i}": i for i in range(6)})
    rows = tuple(Row(f"p{i}.png", "", label) for i, label in enumerate(labels))
    write_csv(Dataset(str(root), rows), root / "labels.csv")
    assert [row.label for row in read(root / "labels.csv").rows] == labels


@pytest.mark.parametrize("name", ["pictures.csv", "pictures.tsv"])
@given(extras=st.lists(st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3), min_size=2, max_size=5))
@settings(max_examples=50, deadline=None)
def test_what_other_columns_say_is_read_back(name, extras, tmp_path_factory):
    root = tmp_path_factory.getbasetemp()
    made(root, **{f"p{i}": i for i in range(6)})
    rows = tuple(
        Row(f"p{i}.png", digest(root / f"p{i}.png"), "ab"[i % 2], "train", extra=extra)
        for i, extra in enumerate(extras)
    )
    data = Dataset(str(root), rows, (LeftOut("p5.png", "the file is empty"),))
    write_csv(data, root / name)
    assert recall(str(root / name), str(root)) == data
    assert read(root / name).rows == rows
    header = (root / name).read_text(encoding="utf-8").splitlines()[0].split("\t" if name.endswith(".tsv") else ",")
    assert ("extra" in header) == any(extras)


@given(
    extras=st.lists(
        st.dictionaries(st.sampled_from(["age", "extra", "sIte"]), st.text(st.characters(codec="utf-8"), max_size=9)),
        min_size=6,
        max_size=6,
    )
)
@settings(max_examples=50, deadline=None)
def test_what_a_table_says_is_kept_through_reading_and_writing(extras, tmp_path_factory):
    root = tmp_path_factory.getbasetemp()
    made(root, **{f"p{i}": i for i in range(6)})
    with (root / "table.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["path", "label", "age", "extra", "sIte"])
        table.writeheader()
        table.writerows({"path": f"p{i}.png", "label": "ab"[i % 2], **extra} for i, extra in enumerate(extras))
    data = read(root / "table.csv")
    expected = [{name.lower(): text for name, text in extra.items() if text.strip()} for extra in extras]
    assert [row.extra for row in data.rows] == expected
    write_csv(data, root / "again.csv")
    assert read(root / "again.csv").rows == data.rows


def test_nothing_depends_on_other_columns(tmp_path):
    made(tmp_path, **{f"p{i:02d}": i % 35 for i in range(40)})
    lines = [f"p{i:02d}.png,{'ab'[i % 35 % 2]},{'' if i % 3 else f'g{i}'}" for i in range(40)]
    (tmp_path / "plain.csv").write_text("path,label,group\n" + "".join(f"{line}\n" for line in lines))
    (tmp_path / "more.csv").write_text(
        "path,label,group,age\n" + "".join(f"{line},{i % 7}\n" for i, line in enumerate(lines))
    )
    for draw in ("stratified", "hash", "last"):
        plain, more = (read(tmp_path / name, draw=draw) for name in ("plain.csv", "more.csv"))
        assert [row.extra for row in more.rows] == [{"age": str(i % 7)} for i in range(40)]
        assert tuple(replace(row, extra={}) for row in more.rows) == plain.rows
        for ours, theirs in zip(folds(more, 3), folds(plain, 3), strict=True):
            assert [row.split for row in ours.rows] == [row.split for row in theirs.rows]
            assert [row.extra for row in ours.rows] == [row.extra for row in more.rows]
        held = with_validation(replace(more, rows=tuple(replace(r, split="train") for r in more.rows)), Training())
        assert held.part("val")
        assert [row.extra for row in held.rows] == [row.extra for row in more.rows]


@pytest.mark.parametrize("shape", [(20, 4, 5), (20, 4, 5, 1), (20, 4, 5, 3), (20, 4, 5, 4)])
@pytest.mark.parametrize(
    "y", [[0, 10] * 10, np.array([[0], [10]] * 10), ["0", "10"] * 10, np.array(["0", "10"] * 10, object)]
)
def test_arrays_are_read(shape, y):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = read((pixels, y), draw="stratified")
    assert data.pixels is pixels
    assert [(row.path, row.label) for row in data.rows[:2]] == [("X[0]", "0"), ("X[1]", "10")]
    assert len({row.digest for row in data.rows}) == 20
    assert (data.root, data.classes, len(data.part("train"))) == ("", ("0", "10"), 16)


def test_equal_arrays_under_two_labels_are_left_out():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 2, 2), dtype=np.uint8)
    pixels[3] = pixels[0]
    data = read((pixels, list("ababab")))
    assert data.left_out == (
        LeftOut("X[0]", "the same picture is labelled 'a' and 'b', see 'X[3]'"),
        LeftOut("X[3]", "the same picture is labelled 'a' and 'b', see 'X[0]'"),
    )
    assert len(data.rows) == 4


GREY = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            GREY / 255,
            "abab",
            "X is float64: expected uint8, values from 0 to 255. "
            "Convert them: (X * 255).round().astype('uint8') if they go from 0 to 1.",
        ),
        (
            GREY.astype(int),
            "abab",
            "X is int64: expected uint8, values from 0 to 255. Convert them: X.astype('uint8') if they fit.",
        ),
        (
            GREY.reshape(4, 4),
            "abab",
            "X has the shape [4, 4]: expected [n, height, width] or [n, height, width, channels], "
            "with 1, 3 or 4 channels and at least 2 pixels.",
        ),
        (
            GREY[:, :1, :1],
            "abab",
            "X has the shape [4, 1, 1]: expected [n, height, width] or [n, height, width, channels], "
            "with 1, 3 or 4 channels and at least 2 pixels.",
        ),
        (GREY, "aba", "y has the shape [3]: expected [4], a label for each picture of X."),
        (GREY, np.eye(4), "y has the shape [4, 4]: expected [4], a label for each picture of X."),
        (GREY, np.array([0.0, 1.5, 0.0, 1.5]), "y[1] is 1.5: expected whole numbers or strings as labels."),
        (GREY, ["a", "b", " ", "a"], "y[2]: the label is empty. Give the row a label, or leave it out."),
        ([GREY[0], GREY[0, 0]], "ab", "X is not an array: expected items that all have the same shape."),
        (GREY, "aaaa", "only one class, 'a': expected at least two."),
        (GREY[:0], "", "no picture can be used."),
    ],
)
def test_wrong_arrays_are_refused(x, y, message):
    assert told((x, list(y) if isinstance(y, str) else y)) == message


def test_walk_gives_the_pictures_below_a_folder(tmp_path):
    made(tmp_path, b__1=1, a__deep__2=2, top=3)
    (tmp_path / ".hidden.png").touch()
    (tmp_path / "text.txt").touch()
    assert walk(tmp_path) == [str(tmp_path / name) for name in ("a/deep/2.png", "b/1.png", "top.png")]


@real
def test_flowers_are_read_whole():
    data = read(Path(REAL, "flowers5"), decode=True)
    assert len(data.rows) == 500
    assert data.left_out == ()
    assert {sum(parts.values()) for parts in data.counts().values()} == {100}
    assert [len(data.part(part)) / 500 for part in ("train", "val", "test")] == pytest.approx([0.8, 0.1, 0.1], abs=0.05)


@real
def test_odd_pictures_are_left_out_by_name(tmp_path):
    for label in ("odd", "same"):
        (tmp_path / label).mkdir()
    for file in Path(REAL, "odd").iterdir():
        (tmp_path / "odd" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "same" / "copy.png").write_bytes(Path(REAL, "odd", "hopper.png").read_bytes())
    made(tmp_path, same__other=1)
    data = read(tmp_path, decode=True)
    assert {out.path: re.sub(r"\(.*\)", "(*)", out.reason) for out in data.left_out} == {
        "odd/broken_data_stream.png": "a damaged PNG file (*)",
        "odd/hopper.png": "the same picture is labelled 'odd' and 'same', see 'same/copy.png'",
        "odd/png_named.jpg": "the same picture is labelled 'odd' and 'same', see 'same/copy.png'",
        "odd/tRNS_null_1x1.png": "a single pixel",
        "odd/truncated_image.png": "a PNG file that is cut short",
        "odd/truncated_jpeg.jpg": "a JPEG file that is cut short",
        "odd/unknown_compression_method.png": "a damaged PNG file",
        "odd/zero_byte.jpg": "the file is empty",
        "odd/zero_width.gif": "a side of 0 pixels",
        "same/copy.png": "the same picture is labelled 'odd' and 'same', see 'odd/hopper.png'",
    }
    assert len(data.rows) == 32


def pairs(root, count=20):
    """Write pictures and a table that lists two of them per row; return the table's path."""
    made(root, **{f"{side}__{i:02d}": 2 * i + k for i in range(count) for k, side in enumerate(("front", "side"))})
    lines = [f"front/{i:02d}.png,side/{i:02d}.png,{'ab'[i % 2]}\n" for i in range(count)]
    Path(root, "pairs.csv").write_text("front,side,label\n" + "".join(lines))
    return Path(root, "pairs.csv")


def test_rows_of_several_pictures_are_read_with_all_digests(tmp_path):
    data = read(pairs(tmp_path), draw="stratified")
    assert (data.columns, len(data.rows), len(data.part("test"))) == (("front", "side"), 20, 2)
    for row in data.rows:
        assert [seen for _, seen in row.pictures] == [digest(tmp_path / path) for path, _ in row.pictures]


@pytest.mark.parametrize("name", ["pictures.csv", "pictures.tsv"])
def test_a_written_listing_of_several_pictures_is_read_again_as_it_was(tmp_path, name):
    path = pairs(tmp_path)
    (tmp_path / "side" / "03.png").write_bytes(b"")
    data = read(path, draw="stratified")
    write_csv(data, tmp_path / name)
    again = read(tmp_path / name)
    assert again == replace(data, notes=again.notes)
    assert recall(str(tmp_path / name), data.root) == replace(data, notes=())
    (tmp_path / "lists").mkdir()
    write_csv(data.seen_from(str(tmp_path / "lists")), tmp_path / "lists" / name)
    assert read(tmp_path / "lists" / name).seen_from(str(tmp_path)) == replace(data, notes=again.notes)


def test_a_written_listing_keeps_further_pictures_beside_the_path(tmp_path):
    path = pairs(tmp_path)
    path.write_text(path.read_text().replace("front,", "path,", 1))
    data = read(path)
    assert data.columns == ("path", "side")
    write_csv(data, tmp_path / "again.csv")
    assert read(tmp_path / "again.csv").rows == data.rows


def test_the_picture_of_several_that_cannot_be_used_is_named(tmp_path):
    path = pairs(tmp_path)
    (tmp_path / "side" / "03.png").write_bytes(b"")
    (tmp_path / "front" / "05.png").write_bytes(picture(9)[:90])
    assert read(path, decode=True).left_out == (
        LeftOut("front/03.png", "the picture 'side' ('side/03.png'): the file is empty"),
        LeftOut("front/05.png", "the picture 'front' ('front/05.png'): a PNG file that is cut short"),
    )
    assert told(path, strict=True) == (
        "1 picture cannot be used: 'front/03.png' (the picture 'side' ('side/03.png'): the file is empty). "
        "Repair or remove them, or use strict=False."
    )


def test_the_same_pictures_under_two_labels_clash_and_one_of_them_alone_does_not(tmp_path):
    made(tmp_path, **{f"p{i}": i for i in range(5)})
    lines = ["p0,p1,a", "p0,p1,b", "p1,p0,a", "p0,p2,b", "p3,p4,a"]
    text = "".join(
        line.replace(",p", ".png,p").replace(",a", ".png,a").replace(",b", ".png,b") + "\n" for line in lines
    )
    (tmp_path / "list.csv").write_text("front,side,label\n" + text)
    data = read(tmp_path / "list.csv")
    reason = "the same pictures are labelled 'a' and 'b', see 'p0.png'"
    assert data.left_out == (LeftOut("p0.png", reason), LeftOut("p0.png", reason))
    assert [row.path for row in data.rows] == ["p1.png", "p0.png", "p3.png"]
    assert data.rows[0].split == data.rows[1].split
