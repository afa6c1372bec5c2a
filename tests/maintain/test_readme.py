"""The pages' tables come from reports; a stale page is exit 5."""

from pathlib import Path

import pytest

from cifar_bench.results.report import Report
from cifar_bench.tables.plain import markdown_table
from cifar_maintain import readme
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
def page(tmp_path: Path, report: Report) -> list[str]:
    """A page and its one report; returns the arguments that name them."""
    (tmp_path / "README.md").write_text(BEFORE)
    (tmp_path / "demo.json").write_text(report.to_text())
    return [str(tmp_path / "README.md"), "--reports", str(tmp_path)]


def test_check_fails_on_a_stale_readme_and_passes_once_it_is_regenerated(
    page: list[str], report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    assert main([*page, "--check"]) == 5
    assert path.read_text() == BEFORE
    assert capsys.readouterr().err == (
        f"python -m cifar_maintain.readme: {path}: is not what the reports and outputs give. "
        "Run python -m cifar_maintain.readme.\n"
    )
    assert main(page) == 0
    assert path.read_text() == BEFORE.replace("old\n", markdown_table(report))
    assert main([*page, "--check"]) == 0


def test_a_commands_output_becomes_a_code_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    path.write_text("<!-- output: classify -->\n<!-- /output -->\n")
    (tmp_path / "classify.txt").write_text("$ cifar-classify cat.png\ncat  0.98\n\n")
    assert main([str(path), "--outputs", str(tmp_path)]) == 0
    assert path.read_text() == (
        "<!-- output: classify -->\n```console\n$ cifar-classify cat.png\ncat  0.98\n```\n"
        "<!-- /output -->\n"
    )
    assert capsys.readouterr().out == f"{path}: was regenerated\n"


def test_a_missing_report_is_an_input_error(page: list[str], tmp_path: Path) -> None:
    (tmp_path / "demo.json").unlink()
    assert main(page) == 3
    assert (tmp_path / "README.md").read_text() == BEFORE


def test_an_excerpt_shows_the_lines_that_are_listed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readme, "EXCERPTS", {"demo": ("make demo", r"cat|dog ")})
    path = tmp_path / "README.md"
    path.write_text("<!-- excerpt: demo -->\n<!-- /excerpt -->\n")
    (tmp_path / "demo.txt").write_text("+ cifar-x\ncat 0.9\nhot dog\ndog 0.8\n")
    assert main([str(path), "--outputs", str(tmp_path)]) == 0
    assert path.read_text() == (
        "<!-- excerpt: demo -->\n```console\n$ make demo\ncat 0.9\ndog 0.8\n```\n<!-- /excerpt -->\n"
    )
    path.write_text("<!-- excerpt: other -->\n<!-- /excerpt -->\n")
    assert main([str(path), "--outputs", str(tmp_path)]) == 3


def test_every_page_given_is_drawn(
    page: list[str], report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = tmp_path / "docs.md"
    second.write_text(BEFORE)
    assert main([str(second), *page]) == 0
    for path in (second, tmp_path / "README.md"):
        assert path.read_text() == BEFORE.replace("old\n", markdown_table(report))
    capsys.readouterr()
    assert main([str(second), *page, "--check"]) == 0
    assert capsys.readouterr().out == "2 files are up to date\n"
