"""cifar-batch on a Ray of two nodes in this machine: answers, bad pictures, dying workers, and going on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image

from cifar_batch import BatchRecipe, classify_all, pipeline
from cifar_batch.cluster import ENVIRONMENT
from cifar_batch.commands.batch import outcome_lines, parse, recipe_from
from cifar_runtime import ArtefactError, Classifier, InputError, UsageError
from cifar_runtime.classifier import default_model
from cifar_runtime.contract import InputContract

ray = pytest.importorskip("ray")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

# Ray's notes on its own, in the processes of its tests.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SAMPLES = Path(__file__).parents[3] / "train" / "cifar_data" / "samples" / "images"
COMMAND = "import sys; from cifar_batch.commands.batch import main; sys.exit(main())"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two nodes of one core each, so that a pool of two has one on each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        head = {"num_cpus": 1, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(num_cpus=1)
        yield cluster.address
        cluster.shutdown()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of several kinds, in folders, and two files that are none."""
    folder = tmp_path / "photos"
    (folder / "deep" / "er").mkdir(parents=True)
    for path in SAMPLES.glob("*.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    ship = Image.open(SAMPLES / "ship.png").convert("RGB")
    exif = Image.Exif()
    exif[274] = 6
    ship.resize((90, 60)).save(folder / "deep" / "rotated.jpg", exif=exif)
    ship.convert("CMYK").save(folder / "deep" / "print.jpg")
    ship.convert("L").convert("LA").save(folder / "deep" / "er" / "grey.png")
    ship.quantize(16).save(folder / "deep" / "er" / "palette.gif")
    (folder / "deep" / "broken.png").write_bytes((SAMPLES / "cat.png").read_bytes()[:700])
    (folder / "deep" / "text.jpg").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    return folder


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Every result by its path; each stands there once."""
    found = [
        row for path in folder.glob("[!.]*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    by_path = {row.pop("path"): row for row in found}
    assert len(by_path) == len(found)
    return by_path


def expected(paths: list[Path]) -> dict[str, dict[str, Any]]:
    """What cifar-classify says, one picture after the other."""
    found: dict[str, dict[str, Any]] = {}
    for path, one in zip(paths, Classifier().classify_paths(paths), strict=True):
        result = dict.fromkeys(("label", "probability", "abstained", "error"))
        if isinstance(one, InputError):
            result["error"] = str(one)
        else:
            result |= {
                "label": one.label,
                "probability": one.probability,
                "abstained": one.abstained,
            }
        found[str(path)] = result
    return found


def pictures_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("[!.]*.*") if path.is_file()]


def test_the_answers_are_cifar_classifys_and_a_second_run_does_what_is_missing(
    address: str, photos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results.parquet"
    recipe = BatchRecipe(source=str(photos), output=str(output), address=address)
    outcome = classify_all(recipe)
    assert (outcome.classified, outcome.failed, outcome.done_before) == (14, 2, 0)
    assert outcome.workers == 2
    assert rows(output) == expected(pictures_in(photos))
    assert outcome.unsure == sum(row["abstained"] or False for row in rows(output).values())
    before = {path: path.read_bytes() for path in output.iterdir()}
    again = classify_all(recipe)
    assert (again.classified, again.failed, again.done_before, again.workers) == (0, 0, 16, 0)
    late = photos / "late.png"
    late.write_bytes((SAMPLES / "dog.png").read_bytes())
    assert classify_all(recipe).classified == 1
    assert rows(output) == expected(pictures_in(photos))
    assert {path: path.read_bytes() for path in before} == before


def test_parquet_gives_the_answers_of_its_pictures(
    address: str, photos: Path, tmp_path: Path
) -> None:
    files = sorted(pictures_in(photos))
    contents = [path.read_bytes() for path in files]
    source = tmp_path / "pictures"
    source.mkdir()
    paths = [str(path) for path in files]
    pq.write_table(
        pa.table({"image": contents, "path": paths}), source / "a.parquet", row_group_size=7
    )
    structures = [{"bytes": one, "path": "x.png"} for one in contents]  # as Hugging Face's are
    pq.write_table(pa.table({"image": structures}), source / "b.parquet", row_group_size=7)
    output = tmp_path / "results.parquet"
    classify_all(BatchRecipe(source=str(source), output=str(output), address=address))
    answers = expected(files)
    for number, path in enumerate(paths):
        name, row = f"{source}/b.parquet#{number}", answers[path]
        answers[name] = row | {"error": row["error"] and row["error"].replace(path, name)}
    assert rows(output) == answers


@dataclass(frozen=True)
class DeadlyPictures:
    """A source in which one picture ends the process that reads it."""

    places: tuple[str, ...]
    most_rows: int = 4

    def listed(self) -> list[Any]:
        return [pa.table({"path": self.places})]

    def pictures(self, part: Any) -> Iterator["DeadlyPicture"]:
        return (DeadlyPicture(path) for path in part["path"].to_pylist())


@dataclass(frozen=True)
class DeadlyPicture:
    path: str

    def read(self, contract: InputContract) -> Image.Image:
        if "deadly" in self.path:
            os.kill(os.getpid(), signal.SIGKILL)
        picture = Image.open(self.path)
        return picture.convert("RGBA" if contract.shape[2] == 4 else "RGB")


def test_a_picture_that_ends_its_process_ends_nothing_else(
    address: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    healthy = sorted(map(str, photos.glob("[!.]*.png")))
    source = DeadlyPictures((*healthy[:5], str(photos / "deadly.png"), *healthy[5:]))
    monkeypatch.setattr(pipeline, "source_at", lambda _: source)
    output = tmp_path / "results.parquet"
    recipe = BatchRecipe(source="any", output=str(output), address=address)
    outcome = classify_all(recipe)
    assert (outcome.classified, outcome.failed) == (len(healthy), 1)
    found = rows(output)
    assert {path for path, row in found.items() if row["error"]} == {str(photos / "deadly.png")}
    assert "2 processes that classified it died" in found[str(photos / "deadly.png")]["error"]


def test_interrupted_or_killed_nothing_is_half_written_and_the_same_command_goes_on(
    photos: Path, tmp_path: Path
) -> None:
    for number in range(2000):
        (photos / f"{number:04d}.png").write_bytes((SAMPLES / "frog.png").read_bytes())
    output = tmp_path / "results.parquet"
    command = [
        sys.executable,
        "-c",
        f"import cifar_batch.pipeline as p; p.PART_ROWS = 1\n{COMMAND}",
    ]
    arguments = [str(photos), "-o", str(output), "-q"]
    ended = []
    for number in (signal.SIGINT, signal.SIGKILL):
        there = set(output.glob("[!.]*.parquet"))
        with subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while set(output.glob("[!.]*.parquet")) == there:
                assert process.poll() is None
                time.sleep(0.01)
            pool = {one for one in _descendants(process.pid) if "ray::" in _title(one)}
            process.send_signal(number)
            ended.append((*process.communicate(), process.returncode))
        assert pool
        deadline = time.monotonic() + 300
        while (
            left := pool & _processes().keys()
        ):  # Ray's see within seconds that their parent is gone
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
    assert ended == [("", "cifar-batch: interrupted\n", 130), ("", "", -signal.SIGKILL)]
    there = len(rows(output))  # each file can be read
    again = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (3, "")
    assert f"{there:,} were there already" in again.stdout
    assert rows(output) == expected(pictures_in(photos))


def _processes() -> dict[tuple[int, str], int]:
    """Each running process, by its number and the time of its start, and its parent's number."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, *rest = stat.read_text().rpartition(")")[2].split()
            if state != "Z":
                found[int(stat.parent.name), rest[17]] = int(parent)
    return found


def _descendants(ancestor: int) -> set[tuple[int, str]]:
    processes, found, parents = _processes(), set[tuple[int, str]](), {ancestor}
    while parents:
        children = {one for one, parent in processes.items() if parent in parents}
        found |= children
        parents = {number for number, _ in children}
    return found


def _title(process: tuple[int, str]) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process[0]}/cmdline").read_text()
    return ""


def test_what_was_written_when_an_interrupt_came_is_not_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[Any] = []

    def write(tables: list[Any]) -> None:
        written.extend(tables)
        raise KeyboardInterrupt

    part = pa.table({"path": ["a.png"]})
    monkeypatch.setattr("ray.put", lambda artefact: artefact)
    monkeypatch.setattr(pipeline, "PART_ROWS", 1)
    monkeypatch.setattr(pipeline._Run, "_tables", lambda *_: iter([part]))
    run = pipeline._Run(
        cast(Any, None),
        cast(Any, SimpleNamespace(most_rows=1)),
        cast(Any, SimpleNamespace(write=write)),
        1,
    )
    with pytest.raises(KeyboardInterrupt):
        run.all_of([part], lambda _: None)
    assert written == [part]


def test_results_of_another_model_and_other_files_are_refused(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.parquet"
    output.mkdir()
    recipe = BatchRecipe(source=str(photos), output=str(output))
    marks = {"cifar-edge.model": "other", "cifar-edge.model_sha256": "0" * 64}
    pq.write_table(pa.table({"path": ["a"]}).replace_schema_metadata(marks), output / "a.parquet")
    with pytest.raises(UsageError, match=r"holds results of other \(sha256 00000000…\), expected"):
        classify_all(recipe)
    pq.write_table(pa.table({"path": ["a"]}), output / "a.parquet")
    with pytest.raises(InputError, match="is not one of cifar-batch's results"):
        classify_all(recipe)
    (output / "a.parquet").write_text("half of a file")
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read"):
        classify_all(recipe)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"picture": [b"x"]}, "has the columns picture, expected one called image"),
        ({"image": ["x"]}, "has the columns image, expected one called image with the bytes"),
        ({"image": [b"x", b"y"], "path": ["a", "a"]}, "two rows have the path a"),
    ],
)
def test_parquet_without_pictures_is_refused_before_ray_starts(
    columns: dict[str, Any], message: str, tmp_path: Path
) -> None:
    source = tmp_path / "pictures.parquet"
    pq.write_table(pa.table(columns), source)
    with pytest.raises(InputError, match=message):
        classify_all(BatchRecipe(source=str(source), output=str(tmp_path / "results.parquet")))


def test_what_cannot_be_used_is_said_before_ray_starts(photos: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "results.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there is nothing"):
        classify_all(BatchRecipe(source=str(tmp_path / "none"), output=output))
    with pytest.raises(InputError, match="holds no pictures and no Parquet file"):
        classify_all(BatchRecipe(source=str(tmp_path / "empty"), output=output))
    with pytest.raises(InputError, match="is a file, expected a folder of pictures"):
        classify_all(BatchRecipe(source=str(photos / "cat.png"), output=output))
    odd = tmp_path / "odd" / "\udcff.png"
    odd.parent.mkdir()
    odd.write_bytes(b"")
    with pytest.raises(InputError, match="has a name that is not UTF-8"):
        classify_all(BatchRecipe(source=str(odd.parent), output=output))
    with pytest.raises(ArtefactError, match=r"none\.tflite"):
        classify_all(BatchRecipe(source=str(photos), output=output, model=tmp_path / "none.tflite"))


def test_an_opened_artefact_makes_the_classifier_of_its_file() -> None:
    artefact = Classifier().artefact
    path = default_model()
    again = Classifier(artefact)
    assert again.artefact is artefact
    assert again.classify(SAMPLES / "cat.png") == Classifier(path).classify(SAMPLES / "cat.png")


def test_the_command_line_says_what_is_done() -> None:
    given = parse(["s3://bucket/photos", "-o", "r.parquet", "-j", "3", "--address", "auto"])
    assert recipe_from(given) == BatchRecipe(
        source="s3://bucket/photos", output="r.parquet", workers=3, address="auto"
    )
    with pytest.raises(
        UsageError, match=r"--output is photos, expected a name that ends in \.parq"
    ):
        parse(["photos", "-o", "photos"])
    done = pipeline.BatchOutcome(
        classified=5000, unsure=7, failed=2, done_before=11, seconds=2.5, workers=2
    )
    assert outcome_lines(done, "r.parquet") == [
        "r.parquet: 5,000 pictures classified, 7 of them unsure, 2 not, see the column error, "
        "11 were there already",
        "2.5 s after Ray's start, 2,001 pictures/s, 1,000 a core",
    ]
