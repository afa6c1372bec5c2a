"""One row of the battery as JSON: ``python -m models.row KIND FOLDER``.

It trains the kind, exports its file by the installed command with the documented flags, each in a process of its own,
and judges what came of it, and what plain converters make, by plain interpreters against Keras.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from models.judge import Scores, decided, raw_scores, scores_of_artefact
from models.kinds import KINDS, Kind
from models.pictures import Images, Labels, pictures, write_pictures

ENDINGS = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")
FLAGS = ("--format", "tflite,onnx", "--quantize", "none,int8")
COMMAND = Path(sys.executable).with_name("cifar-export")


def row(name: str, folder: Path) -> dict[str, Any]:
    """What became of a kind; files are left in the folder."""
    kind, started = KINDS[name], time.monotonic()
    _train_once(name, folder)
    shown = folder / "pictures"
    if not shown.exists():
        write_pictures(shown, kind.size, num_classes=kind.num_classes)
    options = [*FLAGS, *kind.options, "--eval-data", shown, "-o", folder / "exported", "--force"]
    ended = _run([COMMAND, folder / "net.keras", *options, "--json", folder / "export.json"])
    judge = Judge(kind, folder)
    judged = {way: judge.both(way) for way in ENDINGS}
    return {
        "kind": name,
        "parameters_bytes": (folder / "net.keras").stat().st_size,
        "num_pictures": len(judge.keras),
        "keras_accuracy": judge.accuracy(judge.keras),
        "exit_code": ended.returncode,
        "says": _said(ended),
        "ours": {way: ours for way, (ours, _) in judged.items()},
        "plain": {way: plain for way, (_, plain) in judged.items()},
        "seconds": round(time.monotonic() - started, 1),
    }


def _train_once(name: str, folder: Path) -> None:
    """Trains and converts plainly; a folder where that is done is measured again with what lies there."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "trained"
    if done.exists():
        return
    made = _run([sys.executable, "-m", "models.plain", name, folder])
    if not (folder / "scores.npy").exists():
        raise RuntimeError(f"{name}: training ended with {made.returncode}: {made.stderr[-2000:]}")
    done.touch()


class Judge:
    """Decisions of files beside Keras' on the test pictures."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        """Reads what training left in the folder."""
        self._kind, self._folder = kind, folder
        self._images: Images
        self._labels: Labels
        _, (self._images, self._labels) = pictures(kind.size, num_classes=kind.num_classes)
        self.keras = decided(np.load(folder / "scores.npy").astype(np.float64))
        self._errors = json.loads((folder / "errors.json").read_text())

    def accuracy(self, decisions: Labels) -> float:
        """The share of test pictures that are decided rightly."""
        return float((decisions == self._labels).mean())

    def both(self, ending: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Of our file and the plain converter's; where both decide, the pictures that each alone decides rightly."""
        ours, plain = self._ours(ending), self._plain(ending)
        found = [one.pop("decisions", None) for one in (ours, plain)]
        if found[0] is not None and found[1] is not None:
            right = [decisions == self._labels for decisions in found]
            ours["right_alone"] = int((right[0] & ~right[1]).sum())
            plain["right_alone"] = int((right[1] & ~right[0]).sum())
        return ours, plain

    def _ours(self, ending: str) -> dict[str, Any]:
        """Of an artefact that was published; of another one, what its gate measured."""
        path = self._folder / "exported" / f"net-{ending}"
        if path.is_file():
            return {"published": True, **self._judged(scores_of_artefact(path, self._images))}
        left = path.with_name(f"{path.name}.failed.parity.json")
        if not left.is_file():
            return {"published": False}
        parity = json.loads(left.read_text())["provenance"]["parity"]
        if parity is None:
            return {"published": False}
        return {"published": False, "gates": {one["name"]: one["value"] for one in parity["gates"]}}

    def _plain(self, ending: str) -> dict[str, Any]:
        """Of a plain converter's file, fed as the checkpoint is."""
        from models.train import model_inputs

        if ending in self._errors:
            return {"error": self._errors[ending]}
        try:
            inputs = model_inputs(self._kind, self._images)
            return self._judged(raw_scores(self._folder / ending, inputs))
        except Exception as error:  # noqa: BLE001 - whatever an interpreter raises is its result
            return {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"}

    def _judged(self, scores: Scores) -> dict[str, Any]:
        found = decided(scores)
        agreement = float((found == self.keras).mean())
        return {"accuracy": self.accuracy(found), "agreement": agreement, "decisions": found}


def _run(arguments: list[Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(argument) for argument in arguments], check=False, capture_output=True, text=True
    )


def _said(ended: subprocess.CompletedProcess[str]) -> str:
    """The last line of what a command wrote to stderr, where it failed."""
    lines = ended.stderr.strip().splitlines()
    return lines[-1] if ended.returncode and lines else ""


def _without_folders(text: str, folder: Path) -> str:
    """The JSON text without the paths of this machine, which messages name."""
    return re.sub(r"[^\s=\"]*/ort\.quant\.\w+/", "", text.replace(f"{folder}/", ""))


if __name__ == "__main__":
    place = Path(sys.argv[2])
    sys.stdout.write(_without_folders(json.dumps(row(sys.argv[1], place)), place))
