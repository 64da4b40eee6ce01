"""What came out of a benchmark run: a table for the terminal, JSON, a picture, and the README's speed table."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

BEGIN, END = "<!-- speed table: begin -->", "<!-- speed table: end -->"


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
    note: str = ""  # why something was not measured, or is not to be trusted

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
    def cells(self) -> list[str]:
        aim = f"≤ {self.aim:g}" if self.aim is not None else ""
        if self.limit is not None:
            aim = f"≤ {quantity(self.limit, self.unit)}".replace(".0 ", " ")
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else "-"
        met = {True: "yes", False: "NO", None: ""}[self.met]
        return [self.name, quantity(self.rival, self.unit), quantity(self.tessel, self.unit), ratio, aim, met]


def quantity(x, unit) -> str:
    """Three digits and the unit that suits: 0.94 us, 23.1 ms, 220 MB."""
    if x is None:
        return "-"
    if unit == "s":
        x, unit = next(((x * k, u) for k, u in ((1, "s"), (1e3, "ms"), (1e6, "us")) if x * k >= 0.995), (1e6 * x, "us"))
    return f"{x:.{max(0, 2 - int(math.log10(max(x, 1))))}f} {unit}"


def header(machine) -> list[str]:
    return ["case", machine["rival"], machine["tessel"], "ratio", "aim", "met"]


def text(rows, machine) -> str:
    """The table for the terminal, with a line of what is behind it and the notes below."""
    cells = [header(machine), *(row.cells for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(6)]
    lines = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in cells
    ]
    lines.insert(1, "-" * len(lines[0]))
    lines += [f"  {row.name}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, "", summary(rows, machine)])


def threads(machine) -> str:
    return "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"


def summary(rows, machine) -> str:
    aimed = [row for row in rows if row.met is not None]
    ratios = [row.ratio for row in rows if row.ratio is not None and row.group != "startup"]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan
    return (
        f"{machine['cpu']}, {threads(machine)}, instruction set {machine['isa']}. "
        f"Ratio is {machine['tessel']} / {machine['rival']}: below 1 tessel is faster; "
        f"geometric mean of {len(ratios)}: {mean:.2f}. Aims met: {sum(row.met for row in aimed)} of {len(aimed)}."
    )


def write_json(path: Path, rows, machine):
    rows = [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows]
    path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def write_picture(path: Path, rows, machine):
    """Bars of the ratios on a logarithmic axis; left of 1 tessel is faster. A black tick is an aim, red one missed."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    rows = [row for row in rows if row.ratio is not None]
    figure = Figure(figsize=(9, 1.2 + 0.24 * len(rows)), layout="constrained")
    axes = figure.subplots()
    colours = ["tab:red" if row.met is False else "tab:green" if row.ratio <= 1 else "tab:orange" for row in rows]
    axes.barh(range(len(rows)), [row.ratio - 1 for row in rows], left=1, color=colours, height=0.7)
    for i, row in enumerate(rows):
        beyond = row.ratio > 1
        axes.annotate(
            f"{row.ratio:.2f}",
            (row.ratio, i),
            (3 if beyond else -3, 0),
            textcoords="offset points",
            ha="left" if beyond else "right",
            va="center",
            fontsize=7,
        )
        if row.aim is not None:
            axes.plot([row.aim, row.aim], [i - 0.4, i + 0.4], color="black", linewidth=1.5)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(
        xscale="log",
        xlabel=f"{machine['tessel']} / {machine['rival']}, logarithmic: further left is better",
        yticks=range(len(rows)),
        yticklabels=[row.name for row in rows],
    )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.5, high * 1.5)
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    axes.set_title(f"{machine['cpu']}, {threads(machine)}", fontsize=9)
    figure.savefig(path, dpi=120)


def write_readme(path: Path, rows, machine):
    """Puts the table between the README's two markers, and leaves every other byte as it was."""
    readme = path.read_text()
    before, found, rest = readme.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise SystemExit(f"{path.name} has no markers {BEGIN} and {END} to write the speed table between")
    lines = ["| " + " | ".join(row) + " |" for row in (header(machine), *(row.cells for row in rows))]
    lines.insert(1, "| --- | ---: | ---: | ---: | ---: | :---: |")
    path.write_text(f"{before}{BEGIN}\n{summary(rows, machine)}\n\n" + "\n".join(lines) + f"\n{END}{after}")
