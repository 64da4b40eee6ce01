"""What a profile has found: the calls one by one, summed by name, and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class FunctionEvent:
    """A call or, in averages, the calls of one name. Times in microseconds; `self` times leave out what ran inside."""

    name: str
    start: float = 0.0  # microseconds since the profile began
    cpu_time_total: float = 0.0
    self_cpu_time_total: float = 0.0
    count: int = 1
    input_shapes: list[list[int]] = field(default_factory=list)
    dtype: str = ""
    target: str = ""
    thread: int = 0
    is_user_annotation: bool = False

    @property
    def key(self) -> str:
        """The name."""
        return self.name

    @property
    def cpu_time(self) -> float:
        """Microseconds a call."""
        return self.cpu_time_total / self.count if self.count else 0.0

    cuda_time_total = device_time_total = self_cuda_time_total = self_device_time_total = 0.0

    @property
    def end(self) -> float:
        """Microseconds since the profile began."""
        return self.start + self.cpu_time_total


def _time(us: float) -> str:
    return f"{us / 1e6:.3f}s" if us >= 1e6 else f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


class EventList(list[FunctionEvent]):
    """Calls, with sums and a table of them."""

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all of them."""
        return sum(e.self_cpu_time_total for e in self)

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, **_: Any) -> EventList:
        """One entry for each name, or for each name and shape."""
        found: dict[tuple[Any, ...], FunctionEvent] = {}
        for e in self:
            key = (e.name, e.is_user_annotation, str(e.input_shapes) if group_by_input_shape else "")
            if key not in found:
                shapes = e.input_shapes if group_by_input_shape else []
                found[key] = FunctionEvent(
                    e.name, count=0, input_shapes=shapes, is_user_annotation=e.is_user_annotation
                )
            sums = found[key]
            sums.count += 1
            sums.cpu_time_total += e.cpu_time_total
            sums.self_cpu_time_total += e.self_cpu_time_total
        return EventList(found.values())

    def total_average(self) -> FunctionEvent:
        """All of them as one."""
        total = sum(e.self_cpu_time_total for e in self)
        return FunctionEvent("Total", cpu_time_total=total, self_cpu_time_total=total, count=sum(e.count for e in self))

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        **_: Any,
    ) -> str:
        """Name, own time and its share, time with what ran inside, time a call, calls."""
        rows = list(self)
        if sort_by:
            wanted = sort_by.replace("cuda", "cpu").replace("device", "cpu")
            if wanted not in ("cpu_time_total", "self_cpu_time_total", "cpu_time", "count", "name"):
                raise ValueError(f"table: cannot sort by {sort_by!r}; try cpu_time_total, self_cpu_time_total or count")
            rows.sort(key=lambda e: getattr(e, wanted), reverse=wanted != "name")
        rows = rows if row_limit < 0 else rows[:row_limit]
        own, total = sum(e.self_cpu_time_total for e in self), sum(e.cpu_time_total for e in self)
        shapes = any(e.input_shapes for e in rows)
        lines = [["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls"]]
        lines[0] += ["Input Shapes"] if shapes else []
        for e in rows:
            name = e.name if len(e.name) <= max_name_column_width else e.name[: max_name_column_width - 3] + "..."
            shares = [
                f"{100 * t / of:.2f}%" if of else "0%"
                for t, of in ((e.self_cpu_time_total, own), (e.cpu_time_total, total))
            ]
            lines.append(
                [
                    name,
                    shares[0],
                    _time(e.self_cpu_time_total),
                    shares[1],
                    _time(e.cpu_time_total),
                    _time(e.cpu_time),
                    str(e.count),
                ]
            )
            lines[-1] += [str(e.input_shapes)[:max_shapes_column_width]] if shapes else []
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rule = "  ".join("-" * w for w in widths)
        text = ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines]
        foot = f"Self CPU time total: {_time(own)}"
        return "\n".join([*([header] if header else []), rule, text[0], rule, *text[1:], rule, foot, ""])

    def __str__(self) -> str:
        return self.table()
