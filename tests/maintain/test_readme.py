"""README tables come from reports; a stale README is exit 5."""

from pathlib import Path

import pytest

from cifar_bench.results.report import Report
from cifar_bench.tables.plain import markdown_table
from cifar_maintain.readme import main, with_blocks
from cifar_runtime.errors import InputError

BEFORE = "# Title\n\n<!-- table: demo -->\nold\n<!-- /table -->\n\ntext\n"


def test_only_the_text_between_markers_is_replaced() -> None:
    two = BEFORE + "<!-- output: two -->\n<!-- /output -->\n"
    assert with_blocks(two, lambda kind, name: f"{kind} {name}\n") == (
        "# Title\n\n<!-- table: demo -->\ntable demo\n<!-- /table -->\n\ntext\n"
        "<!-- output: two -->\noutput two\n<!-- /output -->\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "<!-- table: demo -->\nold\n",
        "<!-- table: a -->\nold\n<!-- table: b -->\nold\n<!-- /table -->\n",
        "<!-- table: demo -->\nold\n<!-- /output -->\n",
        "<!-- table: ../secret -->\nold\n<!-- /table -->\n",
        "<!-- table: Demo Table -->\nold\n<!-- /table -->\n",
    ],
)
def test_broken_markers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="a marker is not closed"):
        with_blocks(text, lambda kind, name: f"{kind} {name}\n")


@pytest.fixture
def house(tmp_path: Path, report: Report) -> list[str]:
    """A README and its one report; returns the arguments that name them."""
    (tmp_path / "README.md").write_text(BEFORE)
    (tmp_path / "demo.json").write_text(report.to_text())
    return ["--readme", str(tmp_path / "README.md"), "--reports", str(tmp_path)]


def test_check_fails_on_a_stale_readme_and_passes_once_it_is_regenerated(
    house: list[str], report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    assert main([*house, "--check"]) == 5
    assert readme.read_text() == BEFORE
    assert capsys.readouterr().err == (
        f"python -m cifar_maintain.readme: {readme}: is not what the reports and outputs give. "
        "Run python -m cifar_maintain.readme.\n"
    )
    assert main(house) == 0
    assert readme.read_text() == BEFORE.replace("old\n", markdown_table(report))
    assert main([*house, "--check"]) == 0


def test_a_commands_output_becomes_a_code_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- output: classify -->\n<!-- /output -->\n")
    (tmp_path / "classify.txt").write_text("$ cifar-classify cat.png\ncat  0.98\n\n")
    assert main(["--readme", str(readme), "--outputs", str(tmp_path)]) == 0
    assert readme.read_text() == (
        "<!-- output: classify -->\n```console\n$ cifar-classify cat.png\ncat  0.98\n```\n"
        "<!-- /output -->\n"
    )
    assert capsys.readouterr().out == f"{readme}: was regenerated\n"


def test_a_missing_report_is_an_input_error(house: list[str], tmp_path: Path) -> None:
    (tmp_path / "demo.json").unlink()
    assert main(house) == 3
    assert (tmp_path / "README.md").read_text() == BEFORE
