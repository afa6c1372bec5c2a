"""Facts read from the machine, the file or the runtime: energy counters, clock, precision, profiles, cold starts."""

import os
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from cifar_bench.measure.artefact_cost import cost_of
from cifar_bench.measure.cold_start import ColdModel, measure_cold_starts
from cifar_bench.measure.energy import measure_energy, read_microjoules
from cifar_bench.measure.ort_profile import operator_times
from cifar_bench.results.conditions import (
    Conditions,
    machine_differences,
    pinning,
    read_conditions,
)
from cifar_bench.results.cost import OperatorTime, profile_to_json
from cifar_bench.results.report import Report
from cifar_data import packaged
from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import default_model
from cifar_runtime.documents import from_document, to_document
from cifar_runtime.errors import ArtefactError


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages at 1 J and 2 J, and what counts them again: a core of the first, the platform."""
    for zone, name, microjoules in (
        ("intel-rapl:0", "package-0", 10**6),
        ("intel-rapl:1", "package-1", 2 * 10**6),
        ("intel-rapl:2", "psys", 9 * 10**6),
        ("intel-rapl:0:0", "core", 7),
    ):
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "energy_uj").write_text(f"{microjoules}\n")
    return tmp_path


def test_energy_is_the_rise_of_all_packages_counters(powercap: Path) -> None:
    assert read_microjoules(powercap) == 3 * 10**6
    ticks = count(0, 500)

    def run() -> int:
        (powercap / "intel-rapl:1" / "energy_uj").write_text(f"{2 * 10**6 + 50_000}\n")
        return 25

    energy = measure_energy(run, clock=lambda: next(ticks), folder=powercap)
    assert energy is not None
    assert (energy.microjoules, energy.inferences, energy.duration_ns) == (50_000, 25, 500)
    assert energy.joules_per_inference == pytest.approx(0.002)


def test_no_energy_without_readable_counters_or_when_they_wrapped(powercap: Path) -> None:
    ran: list[int] = []

    def run() -> int:
        ran.append(1)
        (powercap / "intel-rapl:0" / "energy_uj").write_text("5\n")
        return 1

    assert measure_energy(run, clock=lambda: 0, folder=powercap / "nowhere") is None
    assert not ran
    assert measure_energy(run, clock=lambda: 0, folder=powercap) is None
    assert ran
    (powercap / "intel-rapl:0" / "energy_uj").write_text("locked\n")
    assert read_microjoules(powercap) is None


def test_the_clocks_step_and_overhead_are_measured() -> None:
    ticks = (10 * (n // 2) for n in count())
    conditions = read_conditions(pinned_cpus=(1,), clock=lambda: next(ticks))
    assert (conditions.timer_resolution_ns, conditions.timer_overhead_ns) == (10, 10)
    assert from_document(Conditions, to_document(conditions)) == conditions
    real = read_conditions(pinned_cpus=None, clock=time.perf_counter_ns)
    assert 0 < real.timer_resolution_ns <= real.timer_overhead_ns


def test_pinning_chooses_the_last_processors_and_nothing_where_there_is_no_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2, 3}, raising=False)
    assert (pinning(1), pinning(2), pinning(3), pinning(9)) == ((3,), (2, 3), None, None)
    monkeypatch.delattr("os.sched_getaffinity")
    assert pinning(1) is None


def test_machines_differ_by_hardware_not_by_load_or_versions(report: Report) -> None:
    here = report.environment
    busier = replace(here, load_average=None, packages={}, python="CPython 3.13.0", os="Linux 6.9")
    assert machine_differences(here, busier) == ()
    other = replace(here, cpu_model="Other CPU", cores=8, isa_flags=(), os="Darwin 25")
    assert machine_differences(here, other) == (
        "processor Example CPU and Other CPU",
        "instruction sets avx2, fma and none",
        "cores 2 and 8",
        "operating system Linux and Darwin",
    )


@pytest.mark.parametrize("runtime", ["tflite", "onnx"])
def test_the_shipped_models_compute_in_int8(runtime: str) -> None:
    cost = cost_of(open_artefact(default_model(runtime)))  # type: ignore[arg-type]
    assert cost.precision == "int8"
    assert cost.macs is not None
    assert cost.macs > 10**7
    assert cost.parameters * 0.9 < cost.weight_bytes < cost.parameters * 1.5


def test_a_float_model_computes_in_float32(tiny_onnx: Path) -> None:
    """Kernel 3 x 10 and bias 10."""
    cost = cost_of(open_artefact(tiny_onnx))
    assert (cost.precision, cost.parameters, cost.weight_bytes, cost.macs) == (
        "float32",
        40,
        160,
        30,
    )


def test_a_profile_sums_kernels_by_operator() -> None:
    events = [
        {"cat": "Session", "name": "model_run", "dur": 999},
        {"cat": "Node", "name": "a_kernel_time", "dur": 3, "args": {"op_name": "Conv"}},
        {"cat": "Node", "name": "b_kernel_time", "dur": 9, "args": {"op_name": "Gemm"}},
        {"cat": "Node", "name": "a_kernel_time", "dur": 4, "args": {"op_name": "Conv"}},
        {"cat": "Node", "name": "a_fence_before", "dur": 5, "args": {"op_name": "Conv"}},
    ]
    profile = operator_times(events)
    assert profile == (
        OperatorTime(operator="Gemm", calls=1, total_ns=9000),
        OperatorTime(operator="Conv", calls=2, total_ns=7000),
    )
    document = profile_to_json(profile)
    assert [one["share"] for one in document] == [9 / 16, 7 / 16]
    assert tuple(from_document(OperatorTime, one) for one in document) == profile


def test_a_cold_start_is_a_whole_run_of_cifar_classify(tiny_onnx: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    picture = tmp_path / "picture.png"
    from PIL import Image

    Image.fromarray(packaged.test_sample().images[0]).save(picture)
    model = ColdModel(path=tiny_onnx, contract=None)
    ticks = count(0, 3)
    (cold,) = measure_cold_starts(
        [model], picture, starts=2, pinned_cpus=None, clock=lambda: next(ticks)
    )
    assert cold.samples_ns == (3, 3)
    with pytest.raises(ArtefactError, match=r"cifar-classify ended with exit code 3: .*nowhere"):
        measure_cold_starts(
            [model], tmp_path / "nowhere.png", starts=1, pinned_cpus=None, clock=lambda: 0
        )


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system knows no affinity")
def test_a_cold_start_is_held_on_the_processors_that_workers_are_held_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the runtime writes down where it was allowed to run."""
    package, seen = tmp_path / "cifar_runtime", tmp_path / "seen"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "commands").mkdir()
    (package / "commands" / "__init__.py").touch()
    (package / "commands" / "classify.py").write_text(
        "import os, pathlib\n"
        "def main():\n"
        f"    pathlib.Path({str(seen)!r}).write_text(str(sorted(os.sched_getaffinity(0))))\n"
        "    return 0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    last = max(os.sched_getaffinity(0))
    for pinned_cpus, expected in (((last,), [last]), (None, sorted(os.sched_getaffinity(0)))):
        measure_cold_starts(
            [ColdModel(path=tmp_path / "net.onnx", contract=None)],
            tmp_path / "picture.png",
            starts=1,
            pinned_cpus=pinned_cpus,
            clock=lambda: 0,
        )
        assert seen.read_text() == str(expected)
