"""Near-copies share a part, other pictures need not, and parts that the user gave stay."""

import os
from collections import Counter
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

import topwork as tw
from tests.command import topwork
from tests.conftest import make_folder
from topwork.commands.train_arguments import Words
from topwork.data import holdout, pictures, sample, splits
from topwork.data.dataset import Dataset, Row
from topwork.data.folds import folds
from topwork.data.quality import facts, near_copies
from topwork.data.quality.facts import Fact
from topwork.data.readers import read
from topwork.data.reading.arrays import read_idx
from topwork.data.reading.folders import walk
from topwork.data.splits import HOWS
from topwork.errors import RecipeError
from topwork.recipes.settings import Training

SIZE = (240, 160)


def photo(seed, size=SIZE):
    """Return a picture with detail of all sizes, as in photos."""
    draw = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3), np.float32)
    for cells, weight in ((3, 60), (8, 35), (24, 20), (80, 8)):
        noise = draw.uniform(-weight, weight, (cells, cells, 3)).astype(np.float32)
        layers = [Image.fromarray(noise[..., i]).resize(size, Image.Resampling.BICUBIC) for i in range(3)]
        total += np.stack([np.asarray(layer) for layer in layers], axis=-1)
    return Image.fromarray(np.clip(total + draw.integers(90, 160, 3), 0, 255).astype(np.uint8))


def half(picture, filter_=Image.Resampling.LANCZOS):
    return picture.resize((picture.width // 2, picture.height // 2), filter_)


def stored(picture, kind="PNG", **options):
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


AGAIN = {
    "jpeg 60": lambda shown: stored(shown, "JPEG", quality=60),
    "jpeg 95": lambda shown: stored(shown, "JPEG", quality=95),
    "webp": lambda shown: stored(shown, "WEBP", quality=75),
    "png": stored,
    "half": lambda shown: stored(half(shown), "JPEG", quality=75),
    "half, box": lambda shown: stored(half(shown, Image.Resampling.BOX)),
    "turned by EXIF": lambda shown: stored(shown.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=_turned()),
}


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def clusters(*shown, folder):
    """Return groups of near-copies among pictures (or files' bytes), by their numbers."""
    where = {}
    for number, one in enumerate(shown):
        path = folder / str(number)
        path.write_bytes(one if isinstance(one, bytes) else stored(one))
        where[str(number)] = path
    return near_copies.clusters(facts.known(where), where)


def data_of(folder, **given):
    """Write a dataset folder from name -> bytes; the folders in a name give its class and part."""
    for name, content in given.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def apart(own_home):
    """Give each test its own home, so that it does not find the facts from another test."""


@pytest.mark.parametrize("kind", AGAIN)
def test_a_picture_that_was_saved_again_is_a_copy(kind, tmp_path):
    originals = [photo(seed) for seed in range(5)]
    files = [stored(one, "JPEG", quality=90) for one in originals] + [AGAIN[kind](one) for one in originals]
    assert sorted(map(sorted, clusters(*files, folder=tmp_path))) == [[str(i), str(i + 5)] for i in range(5)]


def font(size):
    return ImageFont.load_default(size)


def page(seed, words=60):
    """Draw text on white."""
    draw, shown = np.random.default_rng(seed), Image.new("RGB", (300, 400), "white")
    letters = "abcdefghijklmnopqrstuvwxyz"
    for line in range(words // 4):
        text = " ".join("".join(draw.choice(list(letters), draw.integers(2, 8))) for _ in range(5))
        ImageDraw.Draw(shown).text((15, 15 + 24 * line), text, "black", font(15))
    return shown


def product(text, colour=(200, 30, 30)):
    """Draw a packet on white."""
    shown = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(shown).rounded_rectangle((75, 45, 225, 270), 15, fill=colour, outline="black")
    ImageDraw.Draw(shown).text((95, 120), text, "white", font(40))
    return shown


def icon(letter, side=64):
    shown = Image.new("RGB", (side, side), "white")
    ImageDraw.Draw(shown).ellipse((4, 4, side - 4, side - 4), outline="black", width=side // 16)
    ImageDraw.Draw(shown).text((side // 3, side // 6), letter, "black", font(side // 2))
    return shown


def drawing(seed, last=0, count=12):
    """Draw lines on white; *last* changes only the last line."""
    shown = Image.new("RGB", (320, 240), "white")
    for line in range(count):
        draw = np.random.default_rng((seed, line, last if line == count - 1 else 0))
        ImageDraw.Draw(shown).line(tuple(draw.integers(0, (320, 240, 320, 240)).tolist()), fill="black", width=3)
    return shown


def burst(seed, shift, gain=1.0):
    """Cut a photo from a larger one; *shift* moves the camera by a share of the photo's sides."""
    large = photo(seed, (480, 320))
    left, top = 40 + round(shift * 400), 40 + round(shift * 240)
    shown = ImageEnhance.Brightness(large.crop((left, top, left + 400, top + 240))).enhance(gain)
    noise = np.random.default_rng(seed).normal(0, 2, (240, 400, 3))
    return Image.fromarray(np.clip(np.asarray(shown) + noise, 0, 255).astype(np.uint8))


def black(seed, level=3.0):
    """Return a nearly black frame that has only noise."""
    noise = np.random.default_rng(seed).normal(level, 2, (120, 160, 3))
    return Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))


def slope(degrees):
    """Return a gradient."""
    angle = np.radians(degrees)
    down, across = np.mgrid[0:120, 0:160]
    steps = across * np.cos(angle) + down * np.sin(angle)
    return Image.fromarray((255 * (steps - steps.min()) / np.ptp(steps)).astype(np.uint8))


def dot(shown, place):
    shown.putpixel(place, (255, 255, 255))
    return shown


LETTERS = "ABCDEFGHKM?8359"
FLAT = {
    "frames of one colour": lambda: [Image.new("RGB", (64, 64), (level, 90, 90)) for level in (0, 1, 2, 100, 255)],
    "one colour in other sizes": lambda: [Image.new("RGB", (side, side), "white") for side in (40, 64, 128)],
    "a white pixel": lambda: [Image.new("RGB", (512, 512)), dot(Image.new("RGB", (512, 512)), (200, 300))],
}
OTHERS = FLAT | {
    "photos": lambda: [photo(seed) for seed in range(12)],
    "text on white": lambda: [page(seed) for seed in range(8)],
    "packets with other names": lambda: [product(text) for text in ("TEA", "SALT", "MILK", "SOAP", "RICE")],
    "packets of other colours": lambda: [product("TEA", c) for c in ((200, 30, 30), (150, 60, 30), (30, 30, 200))],
    "icons": lambda: [icon(letter) for letter in LETTERS],
    "small icons": lambda: [icon(letter, 32) for letter in LETTERS],
    "tiny icons": lambda: [icon(letter, 16) for letter in LETTERS],
    "drawings": lambda: [drawing(seed) for seed in range(6)],
    "drawings but for one line": lambda: [drawing(1, last) for last in range(6)],
    "a burst": lambda: [burst(7, shift) for shift in (0, 0.015, 0.03, 0.045)],
    "a burst in other light": lambda: [burst(7, 0, gain) for gain in (0.85, 1, 1.2)],
    "black frames": lambda: [black(seed) for seed in range(6)],
    "gradients": lambda: [slope(degrees) for degrees in (0, 10, 20, 90)],
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("quality", [None, 75])
def test_pictures_that_only_look_alike_are_no_copies(kind, quality, tmp_path):
    files = [stored(one, "JPEG", quality=quality) if quality and kind not in FLAT else one for one in OTHERS[kind]()]
    assert clusters(*files, folder=tmp_path) == []


@pytest.mark.parametrize("shown", [photo(1), icon("A", 16), black(1), Image.new("RGB", (400, 300), "white")])
def test_equal_pixels_in_other_bytes_are_copies(shown, tmp_path):
    files = [stored(shown), stored(shown, "BMP"), stored(shown, "PNG", compress_level=1), stored(photo(2))]
    assert [sorted(cluster) for cluster in clusters(*files, folder=tmp_path)] == [["0", "1", "2"]]


def test_a_copy_of_a_copy_is_a_copy(tmp_path):
    first = photo(1)
    second = Image.open(BytesIO(stored(first, "JPEG", quality=80)))
    third = half(second)
    assert [sorted(cluster) for cluster in clusters(first, second, third, photo(2), folder=tmp_path)] == [
        ["0", "1", "2"]
    ]


def proposed(seen):
    return {tuple(sorted(pair)) for block in near_copies._proposals(seen) for pair in block.tolist()}


def test_no_pair_of_near_hashes_escapes_the_search():
    draw = np.random.default_rng(0)
    marks = np.concatenate([draw.integers(0, 256, (300, 8), np.uint8)] * 2)
    for mark in marks[300:]:
        for bit in draw.integers(0, 64, draw.integers(0, 14)):
            mark[bit // 8] ^= 1 << bit % 8
    coarse = np.concatenate([draw.integers(20, 230, (300, 64)).astype(np.uint8)] * 2)
    coarse[300:] += draw.integers(0, 9, (300, 64)).astype(np.uint8) // draw.integers(1, 4, (300, 1)).astype(np.uint8)
    seen = [Fact(False, mark.tobytes(), level.tobytes(), 30, 20) for mark, level in zip(marks, coarse)]
    bits, levels = np.unpackbits(marks, axis=1), coarse.astype(int)
    fits = (bits[:, None] != bits[None]).sum(2) <= near_copies.BITS
    fits &= np.abs(levels[:, None] - levels[None]).max(2) <= near_copies.LUMA
    wanted = {(i, j) for i, j in np.argwhere(fits).tolist() if i < j}
    assert 50 < len(wanted) < 300
    assert proposed(seen) == wanted


def test_pictures_of_other_proportions_are_not_proposed():
    sizes = [(500, 333), (250, 166), (250, 167), (333, 500), (400, 300)]
    assert proposed([Fact(False, bytes(8), bytes(64), *size) for size in sizes]) == {(0, 1), (0, 2), (1, 2)}


def test_thousands_of_equal_looks_take_no_test_each(monkeypatch):
    tests = Counter()
    [look] = facts.miniatures({"photo": np.asarray(photo(1))}).values()

    def load(wanted):
        tests["loaded"] += len(wanted)
        return dict.fromkeys(wanted, look)

    monkeypatch.setattr(facts, "miniatures", load)
    digests = [str(number) for number in range(1000)]
    seen = dict.fromkeys(digests, Fact(False, bytes(8), bytes([90]) * 64, 30, 20))
    assert near_copies.clusters(seen, dict.fromkeys(digests)) == [digests]
    assert tests["loaded"] < 10_000, "for 499,500 pairs"


def tied(folder, **options):
    """Map each path to its part."""
    return {row.path: row.split for row in tw.read(folder, **options).rows}


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Return a folder with 30 photos in two classes, and a copy of each photo."""
    files = {}
    for seed in range(30):
        shown, label = photo(100 + seed, (96, 64)), "ab"[seed % 2]
        files[f"{label}__{seed}.png"] = stored(shown)
        files[f"{label}__{seed}-again.jpg"] = stored(shown, "JPEG", quality=70)
    return data_of(tmp_path_factory.mktemp("copied") / "data", **files)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("seed", [0, 1])
def test_copies_share_a_part_in_every_draw(copied, how, seed):
    parts = tied(copied, split=(0.5, 0.2, 0.3), draw=how, seed=seed)
    originals = [path for path in parts if path.endswith(".png")]
    assert all(parts[path] == parts[path.replace(".png", "-again.jpg")] for path in originals)
    assert set(parts.values()) == {"train", "val", "test"}


def test_ignored_copies_are_drawn_each_for_itself(copied):
    parts = tied(copied, split=(0.5, 0.2, 0.3), near_copies="ignore")
    assert any(parts[path] != parts[path.replace(".png", "-again.jpg")] for path in parts if path.endswith(".png"))
    data = tw.read(copied, near_copies="ignore")
    assert {row.near for row in data.rows} == {()} and data.drawn.near_copies == "ignore"


def test_another_word_is_refused(copied):
    with pytest.raises(RecipeError) as error:
        tw.read(copied, near_copies="togther")
    assert str(error.value) == ("near_copies = 'togther': expected 'together' or 'ignore'; did you mean 'together'?")


def test_a_smaller_copy_moves_no_original(tmp_path):
    files = {f"{'ab'[seed % 2]}__{seed}.png": stored(photo(seed, (96, 64))) for seed in range(40)}
    before = tied(data_of(tmp_path / "data", **files), split=(0.5, 0.2, 0.3))
    for name in list(files):
        path = tmp_path / "data" / name.replace("__", "/")
        path.with_name(path.stem + "-half.png").write_bytes(stored(half(Image.open(path))))
    after = tied(tmp_path / "data", split=(0.5, 0.2, 0.3))
    assert len(after) == 80
    assert {path: after[path] for path in before} == before


def test_folds_and_what_is_held_out_keep_copies_together(copied):
    data = tw.read(copied)
    for fold in [*folds(data, 5), holdout.with_validation(replace(data, rows=_trained(data)), Training())]:
        parts = {row.path: row.split for row in fold.rows}
        assert all(parts[path] == parts[path.replace(".png", "-again.jpg")] for path in parts if path.endswith(".png"))
        assert len(set(parts.values())) > 1


def _trained(data):
    return tuple(replace(row, split="train") for row in data.rows)


def test_copies_under_two_labels_are_named_and_stay(tmp_path):
    files = {f"{label}__{seed}.png": stored(photo(seed + 50 * (label == "b"))) for label in "ab" for seed in range(4)}
    files["b__copy.jpg"] = stored(photo(0), "JPEG", quality=80)
    data = tw.read(data_of(tmp_path / "data", **files))
    assert len(data.rows) == 9 and data.left_out == ()
    assert data.notes[0] == (
        "Near-copies with two labels, one of which may be wrong: 'a/0.png' ('a') and 'b/copy.jpg' ('b')."
    )
    assert splits.units_of(data.rows) == [[i] for i in range(9)]


@pytest.fixture
def given(tmp_path):
    """Return a folder with given parts, and with a copy of a training photo in the test part."""
    files = {}
    for number, (part, label) in enumerate([(part, label) for part in ("train", "test") for label in "ab"]):
        files |= {f"{part}__{label}__{seed}.png": stored(photo(10 * number + seed)) for seed in range(3)}
    files["test__a__copy.jpg"] = stored(photo(0), "JPEG", quality=80)
    return data_of(tmp_path / "data", **files)


def test_given_parts_stay_and_copies_in_two_of_them_are_named(given):
    data = tw.read(given)
    assert all(row.split == row.path.split("/")[0] for row in data.rows)
    assert data.notes == (
        "Near-copies in two parts, because the data give the parts, so the score may be too good: 1 pair, "
        "'test/a/copy.jpg' (test) and 'train/a/0.png' (train).",
    )
    assert tw.read(given, near_copies="ignore").notes == ()


def test_many_pairs_in_two_parts_are_counted(tmp_path):
    same = [Row(f"{i}.png", str(i), "a", "train" if i < 60 else "test", near=("0",)) for i in range(100)]
    drawn = splits.draw(Dataset("/d", (*same, Row("x.png", "x", "b", "train"))))
    assert drawn.rows[:100] == tuple(same)
    assert "2,400 pairs, '0.png' (train) and '60.png' (test), '0.png' (train) and '61.png' (test)" in drawn.notes[0]
    assert drawn.notes[0].endswith("and 2,397 more.")


def test_a_copy_without_a_part_takes_that_of_the_picture_that_has_one(tmp_path):
    lines = ["path,label,split"]
    files = {}
    for seed in range(24):
        part = ("train", "val", "test")[seed % 3]
        files |= {
            f"{seed}.png": stored(photo(seed, (192, 128))),
            f"{seed}-again.jpg": AGAIN["half"](photo(seed, (192, 128))),
        }
        lines += [f"{seed}.png,{'ab'[seed % 2]},{part}", f"{seed}-again.jpg,{'ab'[seed % 2]},"]
    data_of(tmp_path, **files)
    (tmp_path / "list.csv").write_text("\n".join(lines))
    for how in HOWS:
        parts = tied(tmp_path / "list.csv", draw=how)
        wanted = {
            f"{seed}{end}": ("train", "val", "test")[seed % 3] for seed in range(24) for end in (".png", "-again.jpg")
        }
        assert parts == wanted


def test_rows_of_several_pictures_are_tied_by_any_copy_of_one(tmp_path):
    lines = ["front,side,label"]
    files = {}
    for seed in range(12):
        files |= {f"f{seed}.png": stored(photo(seed)), f"s{seed}.png": stored(photo(100 + seed))}
        lines.append(f"f{seed}.png,s{seed}.png,{'ab'[seed % 2]}")
    files["again.jpg"] = stored(photo(103), "JPEG", quality=80)
    lines.append("f11.png,again.jpg,b")
    data_of(tmp_path, **files)
    (tmp_path / "list.csv").write_text("\n".join(lines))
    data = tw.read(tmp_path / "list.csv")
    assert [unit for unit in splits.units_of(data.rows) if len(unit) > 1] == [[3, 11, 12]]


def test_arrays_have_copies_too(tmp_path):
    shown = [np.asarray(photo(seed, (64, 64))) for seed in range(20)]
    again = [np.asarray(Image.open(BytesIO(stored(Image.fromarray(one), "JPEG", quality=85)))) for one in shown]
    data = tw.read((np.array(shown + again), ["a", "b"] * 20), split=(0.5, 0.2, 0.3))
    assert all(data.rows[i].split == data.rows[i + 20].split for i in range(20))
    assert {row.split for row in data.rows} == {"train", "val", "test"}
    assert all(row.near for row in data.rows)


def test_small_arrays_are_compared_by_their_bytes_alone(monkeypatch):
    monkeypatch.setattr(pictures, "glance", None)
    pixels = np.random.default_rng(0).integers(0, 255, (50, 28, 28), np.uint8)
    assert len(tw.read((pixels, ["a", "b"] * 25)).rows) == 50


def test_a_copy_of_a_picture_that_the_parent_run_knew_takes_its_part(tmp_path):
    files = {f"{'ab'[seed % 2]}__{seed}.png": stored(photo(seed, (96, 64))) for seed in range(20)}
    old = tw.read(data_of(tmp_path / "old", **files), split=(0.4, 0.3, 0.3))
    again = {name.replace(".png", ".jpg"): AGAIN["jpeg 60"](photo(seed, (96, 64))) for seed, name in enumerate(files)}
    new = tw.read(data_of(tmp_path / "new", **again), split=(0.4, 0.3, 0.3), seed=5)
    was = {row.path[:-4]: row.split for row in old.rows}
    assert any(was[row.path[:-4]] != row.split for row in new.rows)
    kept = holdout.as_before(new, holdout.known_parts(new, old, "together"))
    assert {row.path[:-4]: row.split for row in kept.rows} == was
    assert holdout.as_before(new, holdout.known_parts(new, old, "ignore")) is new


def test_nothing_is_asked_of_a_parent_that_knew_all(copied, monkeypatch):
    data = tw.read(copied)
    monkeypatch.setattr(facts, "known", None)
    assert near_copies.originals(data, [data]) == {}


def test_pictures_of_a_parent_that_are_gone_are_passed_over(tmp_path):
    old = Dataset(str(tmp_path / "gone"), (Row("a.png", "00", "a", "test"),))
    files = {"a__1.png": stored(photo(1)), "b__2.png": stored(photo(2))}
    assert near_copies.originals(tw.read(data_of(tmp_path / "new", **files)), [old]) == {}


def test_the_commands_take_the_word(copied):
    apart, together = (topwork("read", copied, "--json", "--near-copies", word) for word in ("ignore", "together"))
    assert apart.json["classes"] != together.json["classes"] == topwork("read", copied, "--json").json["classes"]
    assert "near_copies = 'off'" in topwork("read", copied, "--near-copies", "off").err
    recipe = Words(None, ["vgg16@pool"], [], [], None, None, None, None, [], {"near_copies": "ignore"}).recipe()
    assert recipe.data.near_copies == "ignore"
    assert "--near-copies" in topwork("choose", "--help").out


def test_the_digits_have_no_copies(tmp_path):
    folder = sample.digits(tmp_path / "digits")
    data = tw.read(folder)
    where = near_copies.sources(data)
    groups = near_copies.clusters(facts.known(where), where)
    assert all(len({pictures.whole(where[digest]).tobytes() for digest in group}) == 1 for group in groups)


@pytest.mark.full
def test_mnist_has_no_copies(real, tmp_path):
    pixels = read_idx(str(real / "mnist")).pixels
    assert {row.near for row in tw.read(real / "mnist").rows} == {()}
    large = {str(i): np.asarray(Image.fromarray(one).resize((56, 56))) for i, one in enumerate(pixels)}
    assert near_copies.clusters(facts.known(large), large) == [], "nor where they are large enough to be hashed"
    paths = {}
    for i, one in enumerate(pixels[:500]):
        paths |= {f"{i} png": tmp_path / f"{i}.png", f"{i} bmp": tmp_path / f"{i}.bmp"}
        for path in (tmp_path / f"{i}.png", tmp_path / f"{i}.bmp"):
            Image.fromarray(one).save(path)
    found = near_copies.clusters(facts.known(paths), paths)
    assert sorted(map(sorted, found)) == sorted([f"{i} bmp", f"{i} png"] for i in range(500))


LOOKED_AT = [["daisy/10466290366_cc72e33532.jpg", "daisy/10994032453_ac7f8d9e2e.jpg"]]
"""One photo, saved twice: three large white flowers, the same blades and twigs."""


@pytest.mark.full
def test_photos_saved_again_are_found_and_no_others(real, tmp_path):
    names = [os.path.relpath(path, real / "flowers5") for path in walk(real / "flowers5")]
    where = {name: real / "flowers5" / name for name in names}
    ways = [
        lambda shown, n: stored(shown, "JPEG", quality=60 + 35 * n // 199),
        lambda shown, n: stored(half(shown, list(Image.Resampling)[1:][n % 5]), "JPEG", quality=75),
        lambda shown, n: stored(shown),
    ]
    for n, name in enumerate(names[:: len(names) // 200][:200]):
        where[f"again {name}"] = tmp_path / f"{n}"
        with Image.open(where[name]) as shown:
            (tmp_path / f"{n}").write_bytes(ways[n % 3](shown.convert("RGB"), n))
    found = near_copies.clusters(facts.known(where), where)
    originals = [sorted({name.removeprefix("again ") for name in cluster}) for cluster in found]
    assert sum(len(cluster) > 1 and f"again {name}" in cluster for cluster in found for name in where) >= 190
    assert [sorted(names) for names in originals if len(names) > 1] == LOOKED_AT


def test_absolute_paths_of_a_table_are_found(tmp_path):
    folder = make_folder(tmp_path / "colours", each=3)
    lines = [f"{path},{path.parent.name}" for path in sorted(folder.glob("*/*.png"))]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    data = read(tmp_path / "lists" / "list.csv", decode=True)
    assert (len(data.rows), data.left_out) == (9, ())
