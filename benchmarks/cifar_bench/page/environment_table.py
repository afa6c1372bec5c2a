"""The HTML page's table of the machine, the software, the clock and the ceilings. Pure."""

from cifar_bench.page.tables import Table
from cifar_bench.results.conditions import Conditions
from cifar_bench.results.report import Report
from cifar_bench.results.roofline import Roofline


def environment_table(report: Report) -> Table:
    """The machine, the software and the clock."""
    machine, conditions = report.environment, report.conditions
    load = machine.load_average
    pinned = conditions.pinned_cpus
    rows = [
        *([] if report.target is None else [("Target", report.target)]),
        ("Processor", f"{machine.cpu_model} ({machine.machine})"),
        ("Cores in use", f"{machine.cores}"),
        ("Instruction sets", ", ".join(machine.isa_flags) or "cannot be read"),
        ("Governor", machine.governor or "unknown"),
        ("Load average", "unknown" if load is None else ", ".join(f"{one:.2f}" for one in load)),
        ("Operating system", machine.os),
        ("Python", machine.python),
        *((name, version) for name, version in machine.packages.items() if version is not None),
        ("Clock", _clock_in_words(conditions)),
        ("Held on processors", "no" if pinned is None else ", ".join(map(str, pinned))),
        *_ceiling_rows(report.roofline),
    ]
    return Table(
        name="environment",
        caption="Where it was measured",
        head=("Fact", "Value"),
        rows=tuple(rows),
    )


def _ceiling_rows(roofline: Roofline | None) -> list[tuple[str, str]]:
    """What one thread of the machine can do at most, as far as it was measured."""
    if roofline is None:
        return []
    rows = [
        (f"Ceiling, {one.runtime} {one.precision}", f"{one.macs_per_s / 1e9:.3g} GMAC/s")
        for one in roofline.ceilings
    ]
    return [*rows, ("Memory copy", f"{roofline.copy_bytes_per_s / 1e9:.3g} GB/s")]


def _clock_in_words(conditions: Conditions) -> str:
    return (
        f"resolution {conditions.timer_resolution_ns} ns, "
        f"overhead {conditions.timer_overhead_ns} ns, in every sample"
    )
