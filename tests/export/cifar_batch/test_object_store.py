"""Pictures and results in an object store: the same as in a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cifar_fixtures.object_store import object_store

from cifar_batch.place import place
from cifar_batch.results import ResultFolder, results_table
from cifar_batch.sources import source_at
from cifar_runtime import Classifier, InputError
from cifar_runtime.contract import pixel_contract

pq = pytest.importorskip("pyarrow.parquet")
pa = pytest.importorskip("pyarrow")

CONTRACT = pixel_contract((32, 32, 3), "bicubic")
CAT = Path(__file__).parents[3] / "train" / "cifar_data" / "samples" / "images" / "cat.png"


@pytest.fixture
def objects() -> dict[str, bytes]:
    return {
        "bucket/photos/a b/cat.png": CAT.read_bytes(),
        "bucket/photos/text.jpg": b"no picture",
        "bucket/photos/.hidden.png": b"",
        "bucket/photos/notes.txt": b"",
        "bucket/elsewhere.png": b"",
    }


@pytest.fixture
def options(objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with object_store(objects) as found:
        yield found


def test_the_pictures_below_a_uri_are_those_of_the_folder(options: str) -> None:
    source = source_at(f"s3://bucket/photos{options}")
    (table,) = source.listed()
    good, bad = source.pictures(table)
    assert (good.path, bad.path) == (
        "s3://bucket/photos/a b/cat.png",
        "s3://bucket/photos/text.jpg",
    )
    classifier = Classifier()
    assert classifier.classify(good.read(CONTRACT)) == classifier.classify(CAT)
    with pytest.raises(InputError, match=r"text\.jpg: is not an image of a known format"):
        bad.read(CONTRACT)


def test_parquet_in_a_bucket_gives_its_pictures(
    objects: dict[str, bytes], options: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"image": [CAT.read_bytes()]}), tmp_path / "x.parquet")
    objects["bucket/many/one.parquet"] = (tmp_path / "x.parquet").read_bytes()
    source = source_at(f"s3://bucket/many{options}")
    (picture,) = source.pictures(source.listed()[0])
    assert picture.path == "s3://bucket/many/one.parquet#0"
    assert picture.read(CONTRACT).size == (32, 32)


def test_results_in_a_bucket_are_found_again(objects: dict[str, bytes], options: str) -> None:
    classifier = Classifier()
    where = place(f"s3://bucket/results.parquet{options}")
    results = ResultFolder(where, classifier.artefact)
    assert results.done() == set()
    results.write([results_table([("cat.png", classifier.classify(CAT))])])
    assert results.done() == {"cat.png"}
    (written,) = (data for key, data in objects.items() if "results.parquet/part-" in key)
    assert written.startswith(b"PAR1")
