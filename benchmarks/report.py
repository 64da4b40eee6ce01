"""What came out of a benchmark run: a table for the terminal, JSON, a picture, and the README's speed table."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

BEGIN, END = "<!-- speed table{}: begin -->", "<!-- speed table{}: end -->"  # {}: which capped instruction set


@dataclass
class Row:
    """One case. Times are in seconds, memory in megabytes; rival or tessel is None where it could not be measured."""

    name: str
    group: str
    rival: float | None
    tessel: float | None
    aim: float | None = None  # the ratio tessel / rival, at most
    limit: float | None = None  # or an absolute limit for tessel
    unit: str = "s"  # or "MB"
    curve: tuple[str, int] | None = None  # the curve it is a point of, and its size
    note: str = ""  # why something was not measured, or is not to be trusted
    flops: float = 0.0  # operations of its products
    moved: float = 0.0  # bytes that its ops read and write, each operand once
    floor: float | None = None  # seconds that the measured roofline leaves it

    @property
    def ratio(self) -> float | None:
        return self.tessel / self.rival if self.tessel is not None and self.rival else None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none. What could not be measured is not met."""
        if self.aim is None and self.limit is None:
            return None
        if self.tessel is None or self.note:
            return False
        return (
            self.tessel <= self.limit if self.limit is not None else self.ratio is not None and self.ratio <= self.aim
        )

    @property
    def rate(self) -> str:
        """Of tessel: GFLOP/s where arithmetic is the most of it (16 operations a byte), else GB/s."""
        if not self.tessel or self.floor is None:
            return ""
        work, unit = (self.flops, "GFLOP/s") if self.flops > 16 * self.moved else (self.moved, "GB/s")
        return f"{work / self.tessel / 1e9:.3g} {unit}"

    @property
    def share(self) -> str:
        """Of the roofline, in percent; above 100 where ops are fused that the floor counts one by one."""
        return f"{100 * self.floor / self.tessel:.0f} %" if self.tessel and self.floor is not None else ""

    @property
    def cells(self) -> list[str]:
        aim = f"≤ {self.aim:g}" if self.aim is not None else ""
        if self.limit is not None:
            aim = f"≤ {quantity(self.limit, self.unit)}".replace(".0 ", " ")
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else "-"
        met = {True: "yes", False: "NO", None: ""}[self.met]
        times = [quantity(self.rival, self.unit), quantity(self.tessel, self.unit)]
        return [self.name, *times, ratio, aim, met, self.rate, self.share]


def quantity(x, unit) -> str:
    """Three digits and the unit that suits: 0.94 us, 23.1 ms, 220 MB."""
    if x is None:
        return "-"
    if unit == "s":
        x, unit = next(((x * k, u) for k, u in ((1, "s"), (1e3, "ms"), (1e6, "us")) if x * k >= 0.995), (1e6 * x, "us"))
    return f"{x:.{max(0, 2 - int(math.log10(max(x, 1))))}f} {unit}"


def header(machine) -> list[str]:
    return ["case", machine["rival"], machine["tessel"], "ratio", "aim", "met", "rate", "of the roofline"]


def text(rows, machine) -> str:
    """The table for the terminal, with a line of what is behind it and the notes below."""
    cells = [header(machine), *(row.cells for row in rows)]
    used = [i for i in range(8) if any(row[i] for row in cells[1:])]
    cells = [[row[i] for i in used] for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in cells
    ]
    lines.insert(1, "-" * len(lines[0]))
    lines += [f"  {row.name}: {row.note}" for row in rows if row.note]
    strips = room_cells(rows)
    widths = [max(len(row[i]) for row in strips) for i in range(5)]

    def aligned(row):
        return "  ".join(c.ljust(w) if i in (0, 4) else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths)))

    lines += ["", *map(aligned, strips)]
    return "\n".join([*lines, "", summary(rows, machine)])


def threads(machine) -> str:
    return "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"


def mean_ratio(rows) -> float:
    """The geometric mean of the rows' ratios."""
    ratios = [row.ratio for row in rows if row.ratio is not None]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan


def rooms(rows) -> dict[str, list[Row]]:
    """The measured cases by group, in the order of the run; starting, memory and the curves are not rooms."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.ratio is not None and row.group not in ("startup", "memory", "growth"):
            found.setdefault(row.group, []).append(row)
    return found


def summary(rows, machine) -> str:
    aimed = [row for row in rows if row.met is not None]
    by_room = rooms(rows)
    means = [mean_ratio(found) for found in by_room.values()]
    mean = math.exp(sum(map(math.log, means)) / len(means)) if means else math.nan
    return (
        f"{machine['cpu']}, {threads(machine)}, instruction set {machine['isa']}. "
        f"Ratio is {machine['tessel']} / {machine['rival']}: below 1 tessel is faster; geometric mean of "
        f"{sum(map(len, by_room.values()))} cases, the {len(by_room)} rooms weighing alike: {mean:.2f}. "
        f"Aims met: {sum(row.met for row in aimed)} of {len(aimed)}."
    )


def room_cells(rows) -> list[list[str]]:
    """A line for each room: its cases, their mean, how many are slower than the rival's, and the slowest."""
    lines = [["room", "cases", "mean ratio", "above 1.05", "the slowest case"]]
    for group, found in rooms(rows).items():
        slowest = max(found, key=lambda row: row.ratio)
        above = sum(row.ratio > 1.05 for row in found)
        worst = f"{slowest.ratio:.2f}: {slowest.name}"
        lines.append([group, str(len(found)), f"{mean_ratio(found):.2f}", str(above), worst])
    return lines


def write_json(path: Path, rows, machine):
    rows = [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows]
    path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def write_picture(path: Path, rows, machine):
    """A strip of dots for each room, a dot for each case, on a logarithmic axis: left of 1 tessel is faster."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    strips = rooms(rows)
    figure = Figure(figsize=(10, 1.4 + 0.62 * len(strips)), layout="constrained")
    axes = figure.subplots()
    for y, found in enumerate(strips.values()):
        found = sorted(found, key=lambda row: row.ratio)
        heights = [y + 0.24 * math.sin(2.4 * i) for i in range(len(found))]  # apart, so that none hides another
        colours = ["tab:green" if row.ratio <= 1.05 else "tab:red" for row in found]
        axes.scatter([row.ratio for row in found], heights, c=colours, s=14, alpha=0.6, linewidths=0)
        mean = mean_ratio(found)
        axes.plot([mean, mean], [y - 0.38, y + 0.38], color="black", linewidth=2)
        axes.annotate(f"{mean:.2f}", (mean, y - 0.4), ha="center", va="bottom", fontsize=8, weight="bold")
        axes.annotate(f" {found[-1].name}", (found[-1].ratio, heights[-1]), ha="left", va="center", fontsize=6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(
        xscale="log",
        xlabel=f"{machine['tessel']} / {machine['rival']}, logarithmic; bars are geometric means",
        yticks=range(len(strips)),
        yticklabels=[f"{group} ({len(found)})" for group, found in strips.items()],
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.2, high * 3)  # room for the names of the slowest
    axes.invert_yaxis()
    axes.set_title(f"{machine['cpu']}, {threads(machine)}", fontsize=9)
    figure.savefig(path, dpi=120)


def write_growth(path: Path, rows, machine):
    """Time against size, a panel for each curve, logarithmic axes: a straight line of slope p is a cost of size^p."""
    from matplotlib.figure import Figure

    curves: dict[str, list[Row]] = {}
    for row in rows:
        if row.curve and row.ratio is not None:
            curves.setdefault(row.curve[0], []).append(row)
    if not curves:
        return
    figure = Figure(figsize=(12, 3.6 * math.ceil(len(curves) / 3)), layout="constrained")
    panels = iter(figure.subplots(math.ceil(len(curves) / 3), 3, squeeze=False).flat)
    for (name, points), axes in zip(curves.items(), panels):
        sizes = [row.curve[1] for row in points]
        axes.plot(sizes, [row.rival for row in points], "s--", color="tab:orange", label=machine["rival"])
        axes.plot(sizes, [row.tessel for row in points], "o-", color="tab:green", label=machine["tessel"])
        floors = [row.floor if row.floor is not None else math.nan for row in points]
        axes.plot(sizes, floors, ":", color="gray", label="roofline")
        title, _, unit = name.rpartition(", ")
        axes.set(xscale="log", yscale="log", xlabel=unit, ylabel="seconds")
        axes.set_xticks(sizes, map(str, sizes), fontsize=7)
        axes.minorticks_off()
        axes.set_title(title, fontsize=8)
        axes.grid(alpha=0.3)
    for axes in panels:  # those without a curve
        axes.remove()
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=120)


def markdown(lines, align) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    rows.insert(1, "| " + " | ".join(align) + " |")
    return "\n".join(rows)


def write_readme(path: Path, rows, machine, capped: str | None):
    """Puts the tables between the README's two markers, and leaves every other byte as it was: the rooms, then what
    starting, calls and a few common ops cost, and the whole models, one by one. A run held to an instruction set has
    markers of its own (`speed table avx2`), and shows its rooms only."""
    begin, end = (marker.format(f" {capped}" if capped else "") for marker in (BEGIN, END))
    readme = path.read_text()
    before, found, rest = readme.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{path.name} has no markers {begin} and {end} to write the speed table between")
    tables = [markdown(room_cells(rows), ["---", "---:", "---:", "---:", "---"])]
    shown = ("startup", "models", "memory")
    single = [row for row in rows if row.group in shown or (row.group == "ops" and row.met is not None)]
    if not capped:
        aligned = ["---", "---:", "---:", "---:", "---:", ":---:", "---:", "---:"]
        tables.append(markdown([header(machine), *(row.cells for row in single)], aligned))
    path.write_text(f"{before}{begin}\n{summary(rows, machine)}\n\n" + "\n\n".join(tables) + f"\n{end}{after}")
