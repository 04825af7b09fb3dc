from topwork.system import machine


def test_what_linux_says_of_the_processor(tmp_path, monkeypatch):
    said = {"/proc/cpuinfo": {"model name": "Fast 9000", "flags": "fpu avx2 avx512f avx512_bf16 amx_bf16_not"}}
    monkeypatch.setattr(machine, "_said", lambda file: said[file])
    assert machine.processor() == "Fast 9000"
    assert machine.features() == ["AVX2", "AVX-512", "AVX-512 bf16"]


def test_a_containers_limit_counts_where_it_is_lower(monkeypatch):
    said = {"MemTotal": "8000 kB", "MemAvailable": "5000 kB"}
    monkeypatch.setattr(machine, "_said", lambda file: said)
    limits = {"memory.max": None, "memory.current": None}
    monkeypatch.setattr(machine, "_number", lambda file: limits[file.rpartition("/")[2]])
    assert machine.memory() == (8_192_000, 5_120_000)
    limits |= {"memory.max": 2_000_000, "memory.current": 1_500_000}
    assert machine.memory() == (2_000_000, 500_000)
    limits |= {"memory.max": 9_000_000_000}
    assert machine.memory() == (8_192_000, 5_120_000)
    said.clear()
    assert machine.memory() is None


def test_files_of_names_and_numbers(tmp_path):
    (tmp_path / "a").write_text("x\t: 1\n\nx\t: 2\ny: a: b\n")
    (tmp_path / "b").write_text("max\n")
    (tmp_path / "c").write_text("12\n")
    assert machine._said(str(tmp_path / "a")) == {"x": "1", "y": "a: b", "": ""}
    assert machine._said(str(tmp_path / "none")) == {}
    assert [machine._number(str(tmp_path / name)) for name in ("b", "c", "none")] == [None, 12, None]
