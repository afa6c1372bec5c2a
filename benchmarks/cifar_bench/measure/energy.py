"""Reads the processor package's energy counter (RAPL) where Linux shows it and this user may read it."""

from collections.abc import Callable
from pathlib import Path

from cifar_bench.results.conditions import Clock
from cifar_bench.results.timings import Energy

_POWERCAP = Path("/sys/class/powercap")
_MIN_MICROJOULES = 1000


def read_microjoules(folder: Path = _POWERCAP) -> int | None:
    """The sum of all packages' counters, microjoules; None where there are none or none is readable.

    A zone's file ``name`` tells packages from ``psys``, the whole platform, which would count them twice.

    Source: Linux kernel, Documentation/power/powercap/powercap.rst (``energy_uj``).
    """
    try:
        counters = [
            int((zone / "energy_uj").read_text(encoding="ascii"))
            for zone in sorted(folder.iterdir())
            if zone.name.startswith("intel-rapl:")
            and zone.name.count(":") == 1
            and (zone / "name").read_text(encoding="ascii").startswith("package-")
        ]
    except (OSError, ValueError):
        return None
    return sum(counters) if counters else None


def measure_energy(
    run: Callable[[], int], *, clock: Clock, folder: Path = _POWERCAP
) -> Energy | None:
    """What the package drew while ``run`` did as many inferences as it returns.

    None where no counter can be read, where it wrapped around meanwhile, or where so little was
    drawn that the counter's own steps are most of it.
    """
    before, start = read_microjoules(folder), clock()
    if before is None:
        return None
    inferences = run()
    duration_ns, after = clock() - start, read_microjoules(folder)
    if after is None or after - before < _MIN_MICROJOULES:
        return None
    return Energy(microjoules=after - before, inferences=inferences, duration_ns=duration_ns)
