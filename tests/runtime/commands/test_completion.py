"""A shell that evaluates ``--completion SHELL`` completes options, and the values of those that have a list."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cifar_runtime.commands import completion, info
from cifar_runtime.commands.parser import Parser, choice
from cifar_runtime.errors import MissingDependencyError

pytest.importorskip("shtab")


def script(shell: completion.Shell) -> str:
    parser = Parser(prog="cifar-x", description="d")
    parser.add_argument("--runtime", type=choice(("auto", "onnx")), metavar="NAME")
    return completion.completion_script(parser, shell)


def answer(shell: str, *argv: str) -> list[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    run = subprocess.run([shell, *argv], capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.mark.parametrize(("words", "expected"), [("--ru", "--runtime"), ("--runtime on", "onnx")])
def test_bash_completes(tmp_path: Path, words: str, expected: str) -> None:
    path = tmp_path / "x.bash"
    path.write_text(script("bash"))
    ask = (
        f". {path}; COMP_WORDS=(cifar-x {words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); "
        '_shtab_cifar_x cifar-x "${COMP_WORDS[-1]}" x; echo "${COMPREPLY[@]}"'
    )
    assert answer("bash", "--norc", "-c", ask) == [expected]


@pytest.mark.parametrize(("words", "expected"), [("--ru", "--runtime"), ("--runtime on", "onnx")])
def test_fish_completes(tmp_path: Path, words: str, expected: str) -> None:
    path = tmp_path / "x.fish"
    path.write_text(script("fish"))
    assert answer("fish", "-c", f"source {path}; complete -C 'cifar-x {words}'")[0] == expected


def test_zsh_knows_the_command(tmp_path: Path) -> None:
    path = tmp_path / "x.zsh"
    path.write_text(script("zsh"))
    ask = f'autoload -U compinit; compinit -D; eval "$(cat {path})"; echo $_comps[cifar-x]'
    assert answer("zsh", "-fc", ask) == ["_shtab_cifar_x"]


def test_a_command_prints_its_script(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        info.parse(["--completion", "bash"])
    assert caught.value.code == 0
    assert "--self-test" in capsys.readouterr().out


def test_without_shtab_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(MissingDependencyError) as caught:
        script("bash")
    assert str(caught.value) == (
        "cifar-x: --completion needs shtab, which is not installed. Run: pip install shtab"
    )
