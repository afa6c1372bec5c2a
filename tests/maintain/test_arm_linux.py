"""What an emulated processor gives is compared number by number with this machine's; nothing is emulated here."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_data.packaged import test_sample as packaged_sample
from cifar_data.pictures.write_folder import write_picture_folder
from cifar_maintain.arm_linux import Run, parse, run_python, verdict

NATIVE = Run(
    status=0,
    vectors=((0.5, 1.0), (2.0, 0.0)),
    results=(
        {"label": "cat", "ranked": [{"label": "cat", "probability": 0.75}]},
        {"label": "dog", "ranked": [{"label": "dog", "probability": 1.0}]},
    ),
    peak_bytes=100_000_000,
)


def test_the_same_numbers_pass() -> None:
    passed, line = verdict("cortex-a53", replace(NATIVE, peak_bytes=150_000_000), NATIVE)
    assert passed
    assert line == (
        "cortex-a53   golden vectors 2 of 2 bit for bit, pictures 2 of 2, 150 MB with the emulator"
    )


def cat_with(probability: float) -> dict[str, object]:
    return {"label": "cat", "ranked": [{"label": "cat", "probability": probability}]}


def test_numpys_rounding_of_a_probability_passes() -> None:
    rounded = replace(NATIVE, results=(cat_with(0.7500000000000001), NATIVE.results[1]))
    passed, line = verdict("cortex-a53", rounded, NATIVE)
    assert passed
    assert "pictures 2 of 2" in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vectors": ((0.5, 1.0), (2.0, 0.1))}, "vectors 1 of 2 bit for bit, pictures 2 of 2"),
        ({"results": NATIVE.results[:1]}, "vectors 2 of 2 bit for bit, pictures 1 of 2"),
        (
            {"results": (cat_with(0.75001), NATIVE.results[1])},
            "vectors 2 of 2 bit for bit, pictures 1 of 2",
        ),
        (
            {"results": (NATIVE.results[0] | {"label": "dog"}, NATIVE.results[1])},
            "vectors 2 of 2 bit for bit, pictures 1 of 2",
        ),
        (
            {"status": -11, "vectors": (), "results": ()},
            "vectors 0 of 2 bit for bit, pictures 0 of 2",
        ),
        ({"status": 5}, "vectors 2 of 2 bit for bit, pictures 2 of 2"),
    ],
)
def test_others_and_a_failed_process_do_not(change: dict[str, object], said: str) -> None:
    passed, line = verdict("max", replace(NATIVE, **change), NATIVE)  # type: ignore[arg-type]
    assert not passed
    assert said in line


def test_a_python_replays_the_vectors_and_classifies(tmp_path: Path) -> None:
    write_picture_folder(packaged_sample().take([0, 1], name="two"), tmp_path / "pictures")
    run = run_python([sys.executable], tmp_path, sorted(tmp_path.rglob("*.png")))
    assert (run.status, len(run.vectors), len(run.results)) == (0, 8, 2)
    assert all("image" not in result for result in run.results)
    assert 20_000_000 < run.peak_bytes < 1_000_000_000


def test_two_hundred_pictures_by_default() -> None:
    assert parse([]).limit == 200
