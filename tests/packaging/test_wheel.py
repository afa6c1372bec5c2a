"""The two wheels: exactly the files we mean to ship, small enough; the runtime classifies by itself."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cifar_runtime

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
RUNTIME = {"cifar_runtime": "runtime"}
TOOLS = {
    "cifar_data": "train",
    "cifar_train": "train",
    "cifar_export": "export",
    "cifar_make": "export",
    "cifar_batch": "export",
    "cifar_eval": "benchmarks",
    "cifar_bench": "benchmarks",
}
CODE_PATTERNS = (
    *("*.py", "py.typed", "*.schema.json", "contracts/*.json", "templates/*.*"),
    *("pages/*.*", "pages/*/*.*", "firmware/c/*.[ch]", "firmware/c/*.cc", "firmware/c/boards/*"),
)


@pytest.fixture(scope="session")
def runtime_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT / "runtime", tmp_path_factory.mktemp("runtime-wheel"))


@pytest.fixture(scope="session")
def tools_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("tools-wheel"))


def built(project: Path, folder: Path) -> Path:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    subprocess.run([*build, project], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


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


def shipped_code(packages: dict[str, str]) -> set[str]:
    return {
        path.relative_to(ROOT / folder).as_posix()
        for package, folder in packages.items()
        for path in code_files(ROOT / folder / package)
    }


def test_the_runtimes_wheel_holds_exactly_these_files(runtime_wheel: Path) -> None:
    assert contents(runtime_wheel) == {*shipped_code(RUNTIME), *SHIPPED_MODELS}


def test_the_tools_wheel_holds_exactly_these_files(tools_wheel: Path) -> None:
    assert contents(tools_wheel) == {*shipped_code(TOOLS), *SHIPPED_DATA}


def contents(wheel: Path) -> set[str]:
    files = set(sizes(wheel))
    metadata = {name for name in files if name.split("/")[0].endswith(".dist-info")}
    assert {name.split("/", 1)[1] for name in metadata} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    return files - metadata


def test_the_wheels_are_small(runtime_wheel: Path, tools_wheel: Path) -> None:
    assert runtime_wheel.stat().st_size < 0.6 * MEGABYTE
    assert tools_wheel.stat().st_size < 10 * MEGABYTE


def test_the_tools_require_the_runtime_of_their_own_version(
    runtime_wheel: Path, tools_wheel: Path
) -> None:
    version = cifar_runtime.__version__
    assert f"Requires-Dist: cifar-edge-runtime=={version}" in metadata_lines(tools_wheel)
    for wheel in (runtime_wheel, tools_wheel):
        assert f"Version: {version}" in metadata_lines(wheel)


def metadata_lines(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return archive.read(name).decode().splitlines()


def test_both_distributions_carry_the_same_licence() -> None:
    assert (ROOT / "runtime" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


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
def device(runtime_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the runtime and what it requires, nothing else."""
    folder = tmp_path_factory.mktemp("device") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install(folder / "bin", str(runtime_wheel))
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
    images = ROOT / "train" / "cifar_data" / "samples" / "images"
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
    images = ROOT / "train" / "cifar_data" / "samples" / "images"
    packages = subprocess.run(
        [device / "python", "-m", "pip", "list", "--format=json"], capture_output=True, check=True
    )
    names = {package["name"] for package in json.loads(packages.stdout)}
    assert "cifar-edge-runtime" in names
    assert "cifar-edge" not in names
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
