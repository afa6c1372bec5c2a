"""Models from elsewhere: run with the contract that the user states, tried in a child process first."""

import gc
import json
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_runtime.artefact import open_artefact
from cifar_runtime.classifier import Classifier
from cifar_runtime.errors import ArtefactError, CifarEdgeWarning, UsageError
from cifar_runtime.sessions import isolation
from cifar_runtime.sessions.base import SessionOptions
from cifar_runtime.sessions.isolation import IsolatedSession
from cifar_runtime.sessions.open import open_session
from cifar_runtime.sessions.system_calls import _MACHINES
from cifar_runtime.user_contract import built_in_names

PEERS = Path(__file__).parents[3].parent / "shared" / "peers" / "mlperf-tiny"
needs_peers = pytest.mark.skipif(not PEERS.exists(), reason="the MLPerf Tiny models are not here")
SCRIPT = Path(sysconfig.get_path("scripts")) / "cifar-classify"
PIXELS = {"multiplier": 1 / 64, "offset": -2.0, "resize_filter": "bilinear"}
STATED = {"input": {"shape": [6, 8, 3], **PIXELS}, "labels": ["red", "green", "blue"]}


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.json"
    path.write_text(json.dumps(STATED))
    return path


@pytest.fixture(params=["tflite", "onnx"])
def foreign(request: pytest.FixtureRequest, publish: Any, tmp_path: Path) -> Path:
    """Each tiny model without card and document."""
    path = tmp_path / f"foreign.{request.param}"
    path.write_bytes(getattr(publish, f"{request.param}_bytes")())
    return path


def test_a_users_contract_is_completed_from_the_file(foreign: Path, contract: Path) -> None:
    artefact = open_artefact(foreign, contract=contract)
    assert artefact.foreign
    assert artefact.name == "foreign"
    expected = ("int8", 1 / 64, 0) if foreign.suffix == ".tflite" else ("float32", None, None)
    found = artefact.contract.input
    assert (found.dtype, found.scale, found.zero_point) == expected
    assert artefact.contract.output.kind == "logits"
    assert artefact.contract.labels == ("red", "green", "blue")


def test_scores_that_a_sigmoid_makes_get_no_softmax(
    publish: Any, contract: Path, tmp_path: Path
) -> None:
    path = tmp_path / "sigmoid.onnx"
    path.write_bytes(publish.sigmoid_bytes())
    classifier = Classifier(path, contract=contract)
    assert classifier.artefact.contract.output.kind == "independent-probabilities"
    image = np.full((1, 6, 8, 3), 90, np.uint8)
    prediction = classifier.classify(image[0])
    scores = classifier.scores(image)[0]
    assert [share for _, share in prediction.ranked] == sorted(map(float, scores), reverse=True)
    assert prediction.holding == tuple(one for one in prediction.ranked if one[1] >= 0.5)


def test_a_foreign_model_scores_like_the_same_one_with_a_card(
    foreign: Path, contract: Path, request: pytest.FixtureRequest
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (9, 6, 8, 3), dtype=np.uint8)
    own = request.getfixturevalue(f"{foreign.suffix[1:]}_model")
    expected = Classifier(own).scores(images)
    assert (Classifier(foreign, contract=contract).scores(images) == expected).all()


def test_a_contract_for_a_model_with_a_card_is_a_usage_error(any_model: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_artefact(any_model, contract="cifar10-unit")
    assert str(caught.value) == (
        f"{any_model}: has a card, which states its contract; 'cifar10-unit' was given as well. "
        "Leave --contract out: it is for models without a card."
    )


def test_an_unknown_name_lists_those_that_exist(foreign: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_artefact(foreign, contract="cifar10-raw")
    assert str(caught.value) == (
        "--contract: 'cifar10-raw' is not one of cifar10-raw255, cifar10-unit (did you mean "
        "cifar10-raw255?). Give one of them, or a .json file with a contract."
    )
    assert built_in_names() == ("cifar10-raw255", "cifar10-unit")


def test_what_the_user_states_stands_and_is_checked(foreign: Path, contract: Path) -> None:
    wrong = {**STATED, "input": {**STATED["input"], "dtype": "uint8", "scale": 1, "zero_point": 3}}  # type: ignore[dict-item]
    contract.write_text(json.dumps(wrong))
    artefact = open_artefact(foreign, contract=contract)
    with pytest.raises(ArtefactError, match="its contract says uint8"):
        open_session(artefact)


def test_a_model_that_kills_its_process_costs_an_error(
    foreign: Path, contract: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the interpreter itself is the hostile part: any crash and any exit ends as exit code 4."""
    artefact = open_artefact(foreign, contract=contract)
    fake = foreign.parent / "fake-python"
    monkeypatch.setattr(isolation.sys, "executable", str(fake))
    for script, said in (
        ("kill -SEGV $$", "crashed with SIGSEGV"),
        ("kill -ABRT $$", "crashed with SIGABRT"),
        ("kill -PROF $$", "took more than 0.8 s of processor time"),
        ("exit 77", "ended with exit code 77"),
    ):
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o700)
        with pytest.raises(ArtefactError) as caught:
            open_session(artefact)
        assert str(caught.value) == (
            f"{foreign}: opening it and running it once, in a process of its own, {said}. "
            "Do not use this file, or convert the model again from its source."
        )


def test_a_child_that_sleeps_is_ended(
    foreign: Path, contract: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = foreign.parent / "fake-python"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o700)
    monkeypatch.setattr(isolation.sys, "executable", str(fake))
    monkeypatch.setattr(isolation, "SUBPROCESS_WALL_SECONDS", 0.3)
    with pytest.raises(ArtefactError, match=r"did not end within 0\.3 s"):
        open_session(open_artefact(foreign, contract=contract))


def test_nothing_in_the_working_directory_poses_as_a_module(
    foreign: Path, contract: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = "raise SystemExit('imported from the working directory')"
    for name in ("json.py", "numpy.py", "cifar_runtime.py"):
        (foreign.parent / name).write_text(trap)
    monkeypatch.chdir(foreign.parent)
    isolation.run_in_subprocess(open_artefact(foreign, contract=contract), threads=1)


def test_the_trial_sets_its_interpreter_up_as_the_caller_does(
    foreign: Path, contract: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, seen = tmp_path / "python", tmp_path / "header.json"
    fake.write_text(f"#!/bin/sh\nhead -n 1 > {seen}\necho ok\n")
    fake.chmod(0o755)
    monkeypatch.setattr(isolation.sys, "executable", str(fake))
    options = SessionOptions(xnnpack=False, graph_optimization="basic")
    open_session(open_artefact(foreign, contract=contract), threads=2, options=options).close()
    header = json.loads(seen.read_text())
    assert header["options"] == {"xnnpack": False, "graph_optimization": "basic"}
    assert header["threads"] == 2
    monkeypatch.undo()
    open_session(open_artefact(foreign, contract=contract), options=options).close()


def test_a_foreign_model_stays_in_the_child_for_every_picture(
    foreign: Path, contract: Path
) -> None:
    session = open_session(open_artefact(foreign, contract=contract))
    assert isinstance(session, IsolatedSession)
    dtype = "int8" if foreign.suffix == ".tflite" else "float32"
    batch = np.random.default_rng(2).integers(0, 100, (130, 6, 8, 3)).astype(dtype)  # 64 + 64 + 2
    one_by_one = [session.run(batch[row : row + 1]) for row in range(len(batch))]
    assert (session.run(batch) == np.concatenate(one_by_one)).all()
    assert session.run(batch[:0]).shape == (0, 3)
    session.close()
    session.close()
    with pytest.raises(UsageError, match="the session is closed"):
        session.run(batch)


def test_a_child_that_fails_later_fails_in_words_each_time(
    foreign: Path, contract: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the first picture is answered and the second ends the child."""
    fake = foreign.parent / "fake-python"
    fake.write_text("#!/bin/sh\nhead -n 1 > /dev/null\necho ok\nsleep 0.3\nkill -PROF $$\n")
    fake.chmod(0o700)
    monkeypatch.setattr(isolation.sys, "executable", str(fake))
    classifier = Classifier(foreign, contract=contract)
    for _ in range(2):
        with pytest.raises(ArtefactError) as caught:
            classifier.scores(np.zeros((1, 6, 8, 3), np.uint8))
        assert str(caught.value) == (
            f"{foreign}: running it on a picture, in a process of its own, took more than 0.8 s of "
            "processor time. Do not use this file, or convert the model again from its source."
        )


def test_no_child_outlives_its_session(foreign: Path, contract: Path) -> None:
    session = open_session(open_artefact(foreign, contract=contract))
    process = session._child._process  # type: ignore[attr-defined]
    assert process.poll() is None
    del session
    gc.collect()
    assert process.returncode is not None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_the_open_model_can_open_no_file_and_no_socket(foreign: Path, contract: Path) -> None:
    session = open_session(open_artefact(foreign, contract=contract))
    process = session._child._process  # type: ignore[attr-defined]
    limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    session.close()
    (line,) = (line for line in limits if line.startswith("Max open files"))
    assert line.split()[3:5] == ["0", "0"]


@pytest.mark.skipif(platform.machine() not in _MACHINES, reason="needs Linux on a known machine")
def test_the_child_of_a_foreign_model_has_a_filter_of_system_calls(
    foreign: Path, contract: Path
) -> None:
    session = open_session(open_artefact(foreign, contract=contract))
    process = session._child._process  # type: ignore[attr-defined]
    status = Path(f"/proc/{process.pid}/status").read_text()
    session.close()
    assert "Seccomp:\t2\n" in status  # SECCOMP_MODE_FILTER
    assert "NoNewPrivs:\t1\n" in status


def test_a_kernel_without_filters_is_named_once_and_the_model_runs(
    foreign: Path, contract: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = foreign.parent / "fake-python"
    fake.write_text("#!/bin/sh\nhead -n 1 > /dev/null\necho ok Invalid argument\nsleep 60\n")
    fake.chmod(0o700)
    monkeypatch.setattr(isolation.sys, "executable", str(fake))
    with pytest.warns(CifarEdgeWarning) as caught:
        open_session(open_artefact(foreign, contract=contract)).close()
    assert [str(warning.message) for warning in caught] == [
        f"{foreign}: runs in a process of its own without a filter of system calls: this Linux refuses one "
        "(Invalid argument). Its memory and time are limited nevertheless."
    ]


def test_artefacts_of_ours_need_no_trial(any_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation.sys, "executable", "/nowhere")
    open_session(open_artefact(any_model)).close()


# Python's audit hook tells of every open, socket and process that goes through Python; what C code does past it
# shows in the folders that it could write to, and in the kernel's list of this process' open sockets.
WATCHED = """
import os, sys
seen = []
def watch(event, arguments):
    if event.startswith("socket."):
        seen.append(event)
sys.addaudithook(watch)
from cifar_runtime.commands.classify import main
code = main(sys.argv[1:])
links = []
for descriptor in os.listdir("/proc/self/fd"):
    try:
        links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:  # the descriptor of this listing itself
        pass
sockets = [link for link in links if link.startswith("socket:")]
sys.stderr.write(repr((seen, sockets, len(os.listdir("/proc/self/task")))))
raise SystemExit(code)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
@pytest.mark.parametrize("kind", ["own", "foreign"])
def test_onnxruntime_opens_no_socket_and_writes_no_file(
    kind: str, publish: Any, contract: Path, tmp_path: Path
) -> None:
    """With CI unset, which alone would silence its telemetry, and a fresh HOME."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    path = tmp_path / "foreign.onnx"
    path.write_bytes(publish.onnx_bytes())
    model = [str(path), "--contract", str(contract)] if kind == "foreign" else [str(publish.onnx())]
    from PIL import Image

    Image.new("RGB", (8, 6), (250, 10, 0)).save(tmp_path / "red.png")
    unset = ("CI", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "red.png"), "-q", "-m", *model],
        env={**environment, "HOME": str(home), "TMPDIR": str(temporary)},
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split()[1] == "red"
    assert ended.stderr == "([], [], 1)"  # no socket, and no thread of anybody's
    assert [*home.rglob("*"), *temporary.rglob("*")] == []


@needs_peers
@pytest.mark.full_data
@pytest.mark.parametrize(
    ("name", "correct"), [("pretrainedResnet_quant", 8697), ("pretrainedResnet", 8719)]
)
def test_mlperf_tinys_models_score_as_published(name: str, correct: int) -> None:
    """86.97 % int8 and 87.19 % float on all 10,000 test images, with raw pixels."""
    dataset = pytest.importorskip("cifar_data.cifar10.splits")
    split = dataset.open_split("test")
    classifier = Classifier(PEERS / f"{name}.tflite", contract="cifar10-raw255")
    assert classifier.labels == dataset.LABELS
    scores = classifier.scores(np.asarray(split.images))
    assert int((scores.argmax(axis=1) == split.labels).sum()) == correct
    assert classifier.artefact.contract.output.kind == "probabilities"


@needs_peers
def test_the_wrong_contract_is_seen_in_the_decisions() -> None:
    """Why a contract has to be stated: with 0..1 the same file decides at random, without an error."""
    shipped = pytest.importorskip("cifar_data.packaged")
    sample = shipped.test_sample()
    model = PEERS / "pretrainedResnet.tflite"
    right, wrong = (
        (
            Classifier(model, contract=name).scores(sample.images).argmax(axis=1) == sample.labels
        ).mean()
        for name in ("cifar10-raw255", "cifar10-unit")
    )
    assert right > 0.84
    assert wrong < 0.2
