"""The built wheel: exactly the files we mean to ship, small enough, and classifying with nothing else installed."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000
SHIPPED_MODELS = [
    "cifar_runtime/models/edge-s-int8.onnx",
    "cifar_runtime/models/edge-s-int8.onnx.json",
    "cifar_runtime/models/edge-s-int8.tflite",
    "cifar_runtime/models/edge-s-int8.tflite.json",
]
SHIPPED_DATA = [
    "cifar_data/checkpoints/edge-s.json",
    "cifar_data/checkpoints/edge-s.keras",
    "cifar_data/checkpoints/soft-labels.json",
    "cifar_data/checkpoints/soft-labels.npy",
    "cifar_data/samples/calibration-sample.bin",
    "cifar_data/samples/samples.json",
    "cifar_data/samples/test-sample.bin",
    "cifar_data/samples/validation_ids.npy",
    *(
        f"cifar_data/samples/images/{label}.png"
        for label in [
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ]
    ),
]
PACKAGES = {
    "cifar_runtime": "runtime",
    "cifar_train": "train",
    "cifar_export": "export",
    "cifar_bench": "benchmarks",
}
CODE_PATTERNS = ("*.py", "py.typed", "*.schema.json", "contracts/*.json", "templates/*.*")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def sizes(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.compress_size for entry in archive.infolist()}


def code_files(package: Path) -> list[Path]:
    """The package's code in the repository; outside of one, what lies in the folder."""
    tracked = tracked_files(package)
    if tracked is None:
        return [path for pattern in CODE_PATTERNS for path in package.rglob(pattern)]
    return [path for path in tracked if any(path.match(pattern) for pattern in CODE_PATTERNS)]


def tracked_files(folder: Path) -> list[Path] | None:
    git = shutil.which("git")
    if not (ROOT / ".git").exists() or git is None:
        return None
    listed = subprocess.run(
        [git, "ls-files", "-z", "--", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_the_wheel_holds_exactly_these_files(wheel: Path) -> None:
    code = {
        path.relative_to(ROOT / folder).as_posix()
        for package, folder in PACKAGES.items()
        for path in code_files(ROOT / folder / package)
    }
    files = set(sizes(wheel))
    metadata = {name for name in files if name.split("/")[0].endswith(".dist-info")}
    assert files - metadata == {*code, *SHIPPED_MODELS, *SHIPPED_DATA}
    assert {name.split("/", 1)[1] for name in metadata} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_the_wheel_is_small(wheel: Path) -> None:
    packed = sizes(wheel)
    assert wheel.stat().st_size < 10 * MEGABYTE
    with zipfile.ZipFile(wheel) as archive:
        unpacked = sum(
            entry.file_size
            for entry in archive.infolist()
            if entry.filename.startswith("cifar_runtime/")
        )
    assert unpacked < MEGABYTE
    assert sum(packed.values()) < 10 * MEGABYTE


@pytest.mark.parametrize(
    ("in_ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_an_index_out_of_reach_skips_except_in_ci(
    in_ci: str, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", in_ci)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(outcome, match=r"index cannot be reached|connection broken by"):
        install(Path(sys.executable).parent, "--target", str(tmp_path), "absent-package")


@pytest.fixture(scope="session")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the wheel and what it requires, nothing else."""
    folder = tmp_path_factory.mktemp("device") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install(folder / "bin", str(wheel))
    return folder / "bin"


def install(bin_folder: Path, *arguments: str) -> None:
    command = [
        bin_folder / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    constraints = ["--constraint", ROOT / "constraints.txt"]
    finished = subprocess.run(
        [*command, *constraints, *arguments], check=False, capture_output=True, text=True
    )
    if not finished.returncode:
        return
    # What pip says of every attempt when no connection comes about.
    if "connection broken by" in finished.stderr and os.environ.get("CI") != "true":
        pytest.skip("the package index cannot be reached")
    pytest.fail(f"pip install {' '.join(arguments)}: {finished.stderr}")


def uninstall(bin_folder: Path, package: str) -> None:
    command = [bin_folder / "python", "-m", "pip", "uninstall", "--yes", "--quiet", package]
    subprocess.run(command, check=True, capture_output=True)


def classify(bin_folder: Path, home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    images = ROOT / "train" / "cifar_train" / "samples" / "images"
    clean = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTHONPATH")}
    return subprocess.run(
        [bin_folder / "cifar-classify", *map(str, arguments or [images])],
        capture_output=True,
        text=True,
        cwd=home,
        env={**clean, "HOME": str(home)},
        check=False,
    )


def test_a_device_with_either_interpreter_classifies_and_with_none_says_what_to_install(
    device: Path, tmp_path: Path
) -> None:
    images = ROOT / "train" / "cifar_train" / "samples" / "images"
    packages = subprocess.run(
        [device / "python", "-m", "pip", "list", "--format=json"], capture_output=True, check=True
    )
    names = {package["name"] for package in json.loads(packages.stdout)}
    assert not names & {"tensorflow", "keras", "onnxruntime", "onnx", "scikit-learn", "matplotlib"}

    with_litert = classify(device, tmp_path, images, "--json")
    assert (with_litert.returncode, with_litert.stderr) == (0, "")
    results = json.loads(with_litert.stdout)
    assert results["model"]["runtime"] == "litert"
    assert list(tmp_path.iterdir()) == []

    uninstall(device, "ai-edge-litert")
    with_none = classify(device, tmp_path, images)
    assert with_none.returncode == 6
    assert "pip install" in with_none.stderr
    assert len(with_none.stderr.splitlines()) == 1

    install(device, "onnxruntime")
    with_onnxruntime = classify(device, tmp_path, images, "--json")
    assert (with_onnxruntime.returncode, with_onnxruntime.stderr) == (0, "")
    other_results = json.loads(with_onnxruntime.stdout)
    assert other_results["model"]["runtime"] == "onnxruntime"
    assert list(tmp_path.iterdir()) == []
    assert top_labels(other_results) == top_labels(results)


def top_labels(document: dict) -> list[str]:
    return [result["label"] for result in document["results"]]
