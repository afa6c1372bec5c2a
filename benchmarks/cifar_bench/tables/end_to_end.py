"""The table of :mod:`cifar_bench.measure.end_to_end`, for a terminal."""

from collections.abc import Sequence

from cifar_bench.measure.end_to_end import Comparison


def end_to_end_table(compared: Sequence[Comparison]) -> str:
    """One line a way to classify: microseconds a picture, the bare code's, their ratio, its goal and limit."""
    heading = ("", "us", "bare us", "ratio", "goal", "limit", "")
    rows = [
        (
            one.what,
            f"{one.ours_ns / 1000:,.0f}",
            f"{one.bare_ns / 1000:,.0f}",
            f"{one.ratio:.2f}",
            f"{one.goal:.2f}",
            f"{one.limit:.2f}",
            "" if one.passed else "  missed",
        )
        for one in compared
    ]
    width = max(len(row[0]) for row in rows)
    return "".join(
        f"{first:<{width}}" + "".join(f"  {cell:>9}" for cell in cells) + f"{verdict}\n"
        for first, *cells, verdict in (heading, *rows)
    )
