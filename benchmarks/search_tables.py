"""The tables on searches, as Markdown: what they find, whether they keep their time, and what kills do to them."""

from collections.abc import Sequence

from benchmarks import kept, search
from benchmarks.machine import measured_on
from benchmarks.report import table
from benchmarks.stats import accuracy, difference
from topwork.system.messages import counted


def search_table(plan: search.Plan, found: search.Measured, command: str) -> str:
    """Return the table of a search: what it found within its time, against the head and fixed recipes."""
    limits = dict(zip(search.TASKS, plan.minutes))
    rows = []
    for task, ways in found.items():
        for way, one in ways.items():
            rate = accuracy(one.answers)
            gain = difference(ways["search"].answers, one.answers)
            least, most = min(one.seconds), max(one.seconds)
            in_time = kept.in_time(one.seconds, limits[task]) if way == "search" else ""
            values = f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"
            against = "" if way == "search" else f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
            rows.append([task, way, values, against, f"{least:.0f} to {most:.0f}", in_time])
    head = (
        "pictures",
        "way",
        "accuracy (95 %, Wilson)",
        "the search less it (95 %, paired bootstrap)",
        "seconds",
        "in time",
    )
    minutes = ", ".join(f"{limits[task]:g} min for {task}" for task in found)
    seeds = f"{counted(plan.seeds, 'seed')}, each with a split of its own"
    about = f"Searches of {minutes}; {seeds}. Each command starts from cold. Fixed recipes train as long as the search."
    return "\n\n".join([f"{measured_on(command)}\n{about}", table(head, rows)])


def times_table(found: Sequence[kept.Timed], command: str) -> str:
    """Return the table of the times of searches, alone and beside busy processes."""
    rows = []
    for minutes, beside in sorted({(one.minutes, one.beside) for one in found}):
        seconds = [one.seconds for one in found if (one.minutes, one.beside) == (minutes, beside)]
        spread = f"{min(seconds):.0f} to {max(seconds):.0f}"
        rows.append([f"{minutes:g}", str(beside), spread, f"{kept.limit(minutes):.0f}", kept.in_time(seconds, minutes)])
    head = ("minutes", "busy processes beside it", "seconds", "limit", "in time")
    return "\n\n".join([measured_on(command), table(head, rows)])


def killed_line(found: kept.Killed, command: str) -> str:
    """Return what became of a search that was killed."""
    same = f"differs in {', '.join(found.differences)}" if found.differences else "has the same tries and the same bits"
    kills = counted(found.kills, "kill")
    return f"{measured_on(command)}\nA search with {found.tries} tries: after {kills}, it {same}."
