"""The page in a real Chromium: Python's answers, refusals, camera, offline, keyboard, sizes.

Skipped with a sentence where Chromium or node cannot be had.
"""

import base64
import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fixtures.web_pictures import NUM_PICTURES, write_pictures
from numpy.typing import NDArray
from PIL import Image

from cifar_export.web.site import write_site
from cifar_runtime.classifier import Classifier, Prediction, default_model
from cifar_runtime.golden import golden_from_card
from cifar_runtime.imaging.image import read_image
from cifar_runtime.imaging.preprocess import fit_picture
from cifar_runtime.scores import certainties_from_probabilities, probabilities_from_scores

Decision = tuple[str, bool]  # label, abstained
Browse = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(default_model("onnx"))


@pytest.fixture
def copy(site: Path, tmp_path: Path) -> Path:
    """A copy of the site, to be damaged."""
    return Path(shutil.copytree(site, tmp_path / "copy"))


def test_the_self_test_passes_and_the_page_complains_of_nothing(browse: Browse, site: Path) -> None:
    seen = browse(site, "verdict")
    assert seen["result"]["state"] == "passed"
    assert seen["result"]["text"].startswith("Self-test passed: 8 of 8 golden vectors, ")
    assert "SHA-256 as in its card" in seen["result"]["selfTest"]
    assert seen["complaints"] == []


def test_two_hundred_pictures_get_pythons_answers(
    browse: Browse, site: Path, pictures: list[Path], classifier: Classifier
) -> None:
    seen = browse(site, "classify", files=[str(path) for path in pictures])
    expected = classifier.classify_batch(pictures)
    assert seen["complaints"] == []
    assert_same_decisions(pictures, seen["result"], allowed_decisions(classifier, pictures))
    # Python's onnxruntime and the browser's may be a step apart; most scores are the same.
    same = [
        math.isclose(answer["ranked"][0]["probability"], one.probability, rel_tol=1e-9)
        for answer, one in zip(seen["result"], expected, strict=True)
    ]
    assert sum(same) > 0.9 * NUM_PICTURES
    tolerance = golden_from_card(classifier.artefact.card).tolerance
    assert_close_scores(seen["result"], expected, tolerance / temperature(classifier))


@pytest.fixture(scope="module")
def for_litert(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Path:
    """The shipped checkpoint as .tflite with float32 and with uint8 ends."""
    del site  # skips where npm cannot fetch
    folder = tmp_path_factory.mktemp("for-litert")
    command = Path(sys.executable).with_name("cifar-export")
    ends = ["--format", "tflite", "--quantize", "int8-float-io,int8-uint8-io"]
    subprocess.run(
        [command, *ends, "--eval-split", "test-sample", "--output", folder],
        check=True,
        capture_output=True,
        timeout=900,
    )
    return folder


@pytest.mark.parametrize("ends", ["float", "uint8"])
def test_litert_gives_pythons_answers(
    browse: Browse, tmp_path: Path, pictures: list[Path], for_litert: Path, ends: str
) -> None:
    model = for_litert / f"edge-s-int8-{ends}-io.tflite"
    write_site(model, tmp_path / "litert")
    some = pictures[::4]
    seen = browse(tmp_path / "litert", "classify", files=[str(path) for path in some])
    opened = Classifier(model)
    assert_same_decisions(some, seen["result"], allowed_decisions(opened, some))
    if opened.artefact.contract.output.kind == "logits":
        tolerance = golden_from_card(opened.artefact.card).tolerance / temperature(opened)
        assert_close_scores(seen["result"], opened.classify_batch(some), tolerance)


def test_every_picture_reaches_the_model_pixel_for_pixel(
    browse: Browse, site: Path, pictures: list[Path], classifier: Classifier
) -> None:
    found = browse(site, "fitted", files=[str(path) for path in pictures])["result"]
    contract = classifier.artefact.contract.input
    different = [
        path.name
        for path, text in zip(pictures, found, strict=True)
        if base64.b64decode(text) != fit_picture(read_image(path), contract).tobytes()
    ]
    assert different == []


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_every_level_under_every_alpha_is_laid_over_white_as_in_python(
    browse: Browse, site: Path, tmp_path: Path, suffix: str
) -> None:
    level, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    path = tmp_path / f"alpha{suffix}"
    Image.fromarray(np.stack([level, 255 - level, level // 2, alpha], axis=2)).save(
        path, lossless=True, exact=True
    )
    (found,) = browse(site, "pixels", files=[str(path)])["result"]
    assert base64.b64decode(found["pixels"]) == np.asarray(read_image(path)).tobytes()


def test_a_picture_is_taken_by_drop_and_paste(
    browse: Browse, site: Path, pictures: list[Path], classifier: Classifier
) -> None:
    dropped, pasted, words = browse(site, "drop-and-paste", files=[str(pictures[0])])["result"]
    allowed = allowed_decisions(classifier, pictures[:1] * 2)
    assert_same_decisions(pictures[:1] * 2, [dropped, pasted], allowed)
    assert (words["state"], words["label"]) == ("error", "That holds no picture.")


def test_the_golden_pictures_can_be_tried(
    browse: Browse, site: Path, tmp_path: Path, classifier: Classifier
) -> None:
    images = golden_from_card(classifier.artefact.card).images
    paths = [tmp_path / f"{index}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    found = browse(site, "samples")["result"]
    assert_same_decisions(paths, found, allowed_decisions(classifier, paths))


def test_the_cameras_frame_gets_pythons_answer(
    browse: Browse, site: Path, tmp_path: Path, classifier: Classifier
) -> None:
    seen = browse(site, "camera")["result"]
    assert len(seen["live"]["ranked"]) == 5
    frame = tmp_path / "frame.png"
    frame.write_bytes(base64.b64decode(seen["frame"]))
    assert_same_decisions([frame], [seen["held"]], allowed_decisions(classifier, [frame]))
    assert seen["stopped"] == {
        "state": "empty",
        "label": "No picture yet",
        "detail": "",
        "ranked": [],
        "announcement": seen["stopped"]["announcement"],
    }


def test_the_second_visit_needs_no_network(
    browse: Browse, site: Path, pictures: list[Path], classifier: Classifier
) -> None:
    seen = browse(site, "offline", files=[str(pictures[0])])["result"]
    assert seen["online"] is False
    assert seen["verdict"]["state"] == "passed"
    assert_same_decisions(
        pictures[:1], [seen["answer"]], allowed_decisions(classifier, pictures[:1])
    )


def test_a_model_whose_golden_vectors_fail_gives_no_answers(browse: Browse, copy: Path) -> None:
    card = json.loads((copy / "card.json").read_text())
    model = copy / "model" / card["model"]["file"]
    model.write_bytes(without_largest_weights(model.read_bytes()))
    card["model"] |= {
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "size_bytes": model.stat().st_size,
    }
    (copy / "card.json").write_text(json.dumps(card))
    assert_refused(browse(copy, "verdict"), "Self-test failed: scores differ by up to ")


def test_a_model_that_changed_after_export_is_refused(browse: Browse, copy: Path) -> None:
    (model,) = (copy / "model").iterdir()
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    assert_refused(browse(copy, "verdict"), f"{model.name}: sha256 is ")


def test_a_contract_that_the_page_does_not_know_is_refused(browse: Browse, copy: Path) -> None:
    card = json.loads((copy / "card.json").read_text())
    card["contract"]["input"]["resize"] = "zoom"
    (copy / "card.json").write_text(json.dumps(card))
    assert_refused(
        browse(copy, "verdict"), 'The card\'s contract.input.resize is "zoom", expected one'
    )


def test_a_missing_engine_is_an_error_on_the_page(browse: Browse, copy: Path) -> None:
    (copy / "engine" / "ort.wasm.bundle.min.mjs").unlink()
    assert_refused(browse(copy, "verdict"), "TypeError: Failed to fetch dynamically imported")


def test_files_that_are_no_pictures_are_errors_and_the_next_one_is_answered(
    browse: Browse, site: Path, tmp_path: Path, pictures: list[Path], classifier: Classifier
) -> None:
    contents = {
        "words.png": b"words",
        "empty.png": b"",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "half.png": pictures[14].read_bytes()[:30],
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    files = [*(str(tmp_path / name) for name in contents), str(pictures[0])]
    *errors, answer = browse(site, "classify", files=files)["result"]
    known = "PNG, JPEG, WebP, GIF, BMP"
    assert [(error["state"], error["label"].split(":")[0]) for error in errors] == [
        ("error", name) for name in contents
    ]
    assert errors[0]["label"] == (
        f"words.png: is not an image of a known format, expected one of {known}."
    )
    assert errors[1]["label"] == f"empty.png: is empty, expected one of {known}."
    assert errors[3]["detail"] == "Check that the file is complete, or save it again as PNG."
    assert_same_decisions(pictures[:1], [answer], allowed_decisions(classifier, pictures[:1]))


def test_nothing_sticks_out_from_a_phone_to_a_desktop(
    browse: Browse, site: Path, pictures: list[Path]
) -> None:
    sizes = [(320, 640), (390, 844), (768, 1024), (1280, 900)]
    seen = browse(site, "looks", files=[str(pictures[18])], sizes=sizes)
    assert [one["widest"] for one in seen["result"]] == [
        width for width, _ in sizes for _ in ("light", "dark")
    ]
    assert seen["complaints"] == []


def test_axe_finds_nothing_in_the_way_of_a_screen_reader(
    browse: Browse, site: Path, pictures: list[Path]
) -> None:
    assert browse(site, "accessibility", files=[str(pictures[18])])["result"] == []


def test_the_keyboard_reaches_everything_in_order(browse: Browse, site: Path) -> None:
    seen = browse(site, "keyboard")["result"]
    pictures = [f"Self-test picture {index + 1}" for index in range(seen["samples"])]
    assert seen["reached"][: 3 + len(pictures)] == [
        *("Skip to the picture", "file", "camera"),
        *pictures,
    ]


def assert_same_decisions(
    paths: Sequence[Path], found: list[dict[str, Any]], allowed: Sequence[set[Decision]]
) -> None:
    """The page's labels and abstentions are Python's."""
    wrong = {
        path.name: (decision, one)
        for path, answer, one in zip(paths, found, allowed, strict=True)
        if (decision := decision_on_page(answer)) not in one
    }
    assert wrong == {}
    # Where one step of one score decides, either answer is right; such pictures must be few.
    assert sum(len(one) > 1 for one in allowed) <= 0.15 * len(allowed) + 1


def decision_on_page(answer: dict[str, Any]) -> Decision:
    return answer["ranked"][0]["label"] if answer["ranked"] else "", answer["state"] == "unsure"


def allowed_decisions(classifier: Classifier, paths: Sequence[Path]) -> list[set[Decision]]:
    """Python's label and abstention for each picture; also those that it gives when one score is a step off.

    onnxruntime's kernels for different processors, WebAssembly among them, differ by a step of the int8 output.
    """
    contract = classifier.artefact.contract
    fitted = np.stack([fit_picture(read_image(path), contract.input) for path in paths])
    step = contract.output.scale or golden_from_card(classifier.artefact.card).tolerance
    one = np.eye(len(classifier.labels), dtype=np.float32) * np.float32(step)
    nudges = np.concatenate([np.zeros_like(one[:1]), one, -one])
    return [decisions_of(scores + nudges, classifier) for scores in classifier.scores(fitted)]


def decisions_of(scores: NDArray[np.float32], classifier: Classifier) -> set[Decision]:
    output = classifier.artefact.contract.output
    probabilities = probabilities_from_scores(scores, output)
    certainties = certainties_from_probabilities(probabilities, output)
    threshold = output.abstention_threshold or 0.0
    return {
        (classifier.labels[int(row.argmax())], bool(certainty < threshold))
        for row, certainty in zip(probabilities, certainties, strict=True)
    }


def assert_close_scores(
    found: list[dict[str, Any]], expected: Sequence[Prediction], tolerance: float
) -> None:
    """Ratios of the shown probabilities, as logits, are Python's within twice what one score may be off."""
    for answer, one in zip(found, expected, strict=True):
        exact = dict(one.ranked)
        best, *others = answer["ranked"]
        for other in others:
            if min(exact[other["label"]], other["probability"]) < 1e-12:
                continue
            ratio = math.log(best["probability"] / other["probability"])
            expected_ratio = math.log(exact[best["label"]] / exact[other["label"]])
            assert abs(ratio - expected_ratio) <= 2 * tolerance


def assert_refused(seen: dict[str, Any], beginning: str) -> None:
    result = seen["result"]
    assert result["state"] == "refused"
    assert result["text"].startswith(beginning)
    assert (result["fileDisabled"], result["cameraDisabled"], result["samples"]) == (True, True, 0)


def temperature(classifier: Classifier) -> float:
    return classifier.artefact.contract.output.temperature or 1.0


def without_largest_weights(model: bytes) -> bytes:
    """The ONNX model with its largest tensor zero: it runs, and computes something else."""
    import onnx

    loaded = onnx.load_from_string(model)
    largest = max(loaded.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.raw_data = bytes(len(largest.raw_data))
    return bytes(loaded.SerializeToString())
