"""Classifying is compared with bare code that answers the same, and a missed limit is exit code 5."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_bench.commands.bench import main, parse
from cifar_bench.measure import end_to_end
from cifar_bench.measure.end_to_end import BareLoop, Comparison, compare_end_to_end
from cifar_data import packaged
from cifar_runtime.classifier import Classifier, default_model
from cifar_runtime.errors import UsageError

pytest.importorskip("ai_edge_litert")

TABLE = """\
              us    bare us      ratio       goal      limit
array          5          4       1.25       1.25       1.25
start      1,210      1,000       1.21       1.00       1.20  missed
"""


def comparison(what: str, ours_ns: int, bare_ns: int, goal: float, limit: float) -> Comparison:
    return Comparison(what=what, ours_ns=ours_ns, bare_ns=bare_ns, goal=goal, limit=limit)


def test_the_bare_code_answers_as_the_classifier_does(tmp_path: Path) -> None:
    classifier = Classifier(default_model("tflite"))
    bare = BareLoop(classifier)
    for number, pixels in enumerate(packaged.test_sample().images[:8]):
        assert bare.array(pixels) == classifier.classify(pixels).index
        for size, suffix in (((32, 32), "png"), ((90, 70), "jpg")):
            path = tmp_path / f"{number}.{suffix}"
            Image.fromarray(np.asarray(pixels)).resize(size).save(path)
            assert bare.file(path) == classifier.classify(path).index


def test_each_way_is_compared(tmp_path: Path) -> None:
    compared = compare_end_to_end(tmp_path, runs=2, starts=1)
    assert [one.what for one in compared] == [
        *("array", "batch of 64 arrays", "32x32 PNG", "640x480 JPEG", "start")
    ]
    assert all(min(one.ours_ns, one.bare_ns) > 0 for one in compared)


def test_the_table_is_printed_and_a_missed_limit_is_5(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = [comparison("array", 5000, 4000, 1.25, 1.25)]
    monkeypatch.setattr(end_to_end, "compare_end_to_end", lambda *_, **__: compared)
    assert main(["--end-to-end"]) == 0
    capsys.readouterr()
    compared.append(comparison("start", 1_210_000, 1_000_000, 1.0, 1.2))
    assert main(["--end-to-end"]) == 5
    assert capsys.readouterr().out == TABLE


def test_nothing_else_is_measured_with_it() -> None:
    with pytest.raises(UsageError, match="--end-to-end measures the packaged model and nothing"):
        parse(["--end-to-end", "--quick"])
