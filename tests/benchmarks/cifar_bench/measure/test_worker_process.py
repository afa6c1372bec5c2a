"""A worker that raises, dies or hangs is one error with the model's name, and never a hung bench."""

from pathlib import Path

import pytest

from cifar_bench.measure.worker_process import WorkerProcess
from cifar_runtime.errors import ArtefactError, MissingDependencyError

PROGRAM = """
import json, os, signal, sys, time
print("chatter", file=sys.stderr)
for line in sys.stdin:
    request = json.loads(line)
    if request.get("do") == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if request.get("do") == "leave":
        sys.exit("nothing left to do")
    if request.get("do") == "hang":
        time.sleep(60)
    if request.get("do") == "raise":
        error = {"exit_code": 6, "code": "", "message": "no such thing.", "hint": "Get it."}
        print(json.dumps({"error": error}), flush=True)
    elif "do" in request:
        for done in range(1, request.get("steps", 0) + 1):
            print(json.dumps({"counted": [done, request["steps"]]}), flush=True)
        print(json.dumps({"ok": request["number"] + 1}), flush=True)
"""


@pytest.fixture
def worker_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "obedient_worker.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "obedient_worker"


def test_requests_are_answered_one_by_one(worker_module: str) -> None:
    with WorkerProcess("m.onnx", pinned_cpus=None, module=worker_module) as worker:
        assert [worker.ask("add", number=number) for number in (1, 41)] == [2, 42]


def test_what_a_long_request_counts_is_seen_before_its_answer(worker_module: str) -> None:
    seen: list[tuple[int, int]] = []
    with WorkerProcess("m.onnx", pinned_cpus=None, module=worker_module) as worker:
        count = lambda done, total: seen.append((done, total))  # noqa: E731
        assert worker.ask("add", number=1, steps=2, count=count) == 2
        assert worker.ask("add", number=2, steps=1) == 3
    assert seen == [(1, 2), (2, 2)]


def test_what_the_worker_raises_is_raised_here(worker_module: str) -> None:
    with WorkerProcess("m.onnx", pinned_cpus=None, module=worker_module) as worker:
        with pytest.raises(MissingDependencyError, match="no such thing") as caught:
            worker.ask("raise")
        assert caught.value.hint == "Get it."


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("die", "m.onnx: its process crashed with SIGSEGV during 'die' (chatter)."),
        (
            "leave",
            "m.onnx: its process ended with exit code 1 during 'leave' (nothing left to do).",
        ),
    ],
)
def test_a_worker_that_dies_is_an_error_that_names_the_model(
    worker_module: str, request_: str, message: str
) -> None:
    with WorkerProcess("m.onnx", pinned_cpus=None, module=worker_module) as worker:
        with pytest.raises(ArtefactError) as caught:
            worker.ask(request_)
        assert caught.value.message == message
        assert caught.value.hint == (
            "Open it with cifar-info; if it fails there too, convert it again."
        )


def test_a_worker_that_hangs_is_ended(worker_module: str) -> None:
    with WorkerProcess("m.onnx", pinned_cpus=None, timeout_s=0.2, module=worker_module) as worker:
        with pytest.raises(ArtefactError) as caught:
            worker.ask("hang")
        assert caught.value.message == ("m.onnx: its process did not answer 'hang' within 0.2 s.")
