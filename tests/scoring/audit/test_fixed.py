"""The fixed data: copies share a group, suspects are marked, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from topwork.data import splits
from topwork.data.dataset import Dataset, Row
from topwork.data.reading.listing import read_listing, write_csv
from topwork.scoring.audit.fixed import grouped, marked


def rows(groups):
    return tuple(Row(f"{i}.png", f"{i:02}", "ab"[i % 2], "train", group) for i, group in enumerate(groups))


groups = st.lists(st.sampled_from([None, "x", "y", "z"]), min_size=3, max_size=12)


@given(groups, st.data())
def test_pictures_of_a_cluster_share_a_part_and_groups_stay_together(names, draw):
    data = Dataset("/d", rows(names))
    positions = st.lists(st.integers(0, len(names) - 1), min_size=2, max_size=4, unique=True)
    clusters = draw.draw(st.lists(positions, max_size=3))
    fixed = grouped(data, clusters)
    unit_of = {i: number for number, unit in enumerate(splits.units_of(fixed.rows)) for i in unit}
    for cluster in clusters:
        assert len({unit_of[i] for i in cluster}) == 1
    for unit in splits.units_of(data.rows):
        assert len({unit_of[i] for i in unit}) == 1
    tied = {i for cluster in clusters for i in cluster}
    free = [i for i in range(len(names)) if names[i] is None and i not in tied]
    assert [fixed.rows[i].group for i in free] == [None] * len(free)
    assert [(row.path, row.label, row.split) for row in fixed.rows] == [
        (row.path, row.label, row.split) for row in data.rows
    ]


def test_rows_of_a_cluster_get_into_the_last_of_their_parts():
    parts = ["train", "test", "val", "train", None]
    given = tuple(Row(f"{i}.png", f"{i:02}", "a", part) for i, part in enumerate(parts))
    fixed = grouped(Dataset("/d", given), [[0, 2], [3, 4]])
    assert [row.split for row in fixed.rows] == ["val", "test", "val", "train", "train"]


def test_a_group_keeps_its_name_and_several_are_joined():
    fixed = grouped(Dataset("/d", rows(["x", None, "y", None, None, "x"])), [[0, 1], [2, 5], [3, 4]])
    assert [row.group for row in fixed.rows] == ["x + y"] * 3 + ["like 3.png"] * 2 + ["x + y"]


def test_a_mark_is_a_column_of_the_table_and_is_read_back(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(bytes([i]))
    data = Dataset(str(tmp_path), (Row("0.png", "00", "a", extra={"site": "north"}), *rows([None] * 3)[1:]))
    fixed = marked(data, {"1.png": "a"})
    write_csv(fixed, tmp_path / "fixed.csv")
    header, *lines = (tmp_path / "fixed.csv").read_text().splitlines()
    assert header == "path,sha256,label,split,group,reason,suspect,extra"
    assert lines[1] == "1.png,01,b,train,,,a,"
    again = read_listing(str(tmp_path / "fixed.csv"))
    assert [dict(row.extra) for row in again.rows] == [{"site": "north"}, {"suspect": "a"}, {}]
    assert again.notes == ()
    assert [dict(row.extra) for row in marked(again, {}).rows] == [{"site": "north"}, {}, {}], "an old mark is removed"
