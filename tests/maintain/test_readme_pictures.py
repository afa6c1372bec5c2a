"""README's pictures and its sentence on int8 come from reports; a stale picture is exit 5."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cifar_bench.results.report import Report
from cifar_maintain.readme import main

README = """\
# Title

<!-- picture: demo-latency -->
<!-- /picture -->

<!-- why: demo -->
<!-- /why -->
"""


@pytest.fixture
def page(tmp_path: Path, report: Report) -> list[str]:
    """A page and its one report; returns the arguments that name them."""
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "demo.json").write_text(report.to_text())
    pictures = tmp_path / "docs" / "pictures"
    return [str(tmp_path / "README.md"), "--reports", str(tmp_path), "--pictures", str(pictures)]


def test_pictures_are_drawn_and_linked(page: list[str], report: Report, tmp_path: Path) -> None:
    assert main(page) == 0
    text = (tmp_path / "README.md").read_text()
    assert "![Top-1 accuracy against median latency](docs/pictures/demo-latency.svg)\n" in text
    assert f"<!-- why: demo -->\n{report.why_int8}\n<!-- /why -->" in text
    picture = tmp_path / "docs" / "pictures" / "demo-latency.svg"
    root = ElementTree.fromstring(picture.read_text())  # noqa: S314 - what we have just drawn
    assert "seed-cnn-int8" in "".join(root.itertext())
    assert main([*page, "--check"]) == 0


def test_check_fails_on_a_picture_of_an_older_report_and_changes_nothing(
    page: list[str], report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(page) == 0
    picture = tmp_path / "docs" / "pictures" / "demo-latency.svg"
    before = picture.read_text()
    renamed = replace(report.models[1], name="renamed")
    newer = replace(report, models=(report.models[0], renamed, report.models[2]))
    (tmp_path / "demo.json").write_text(newer.to_text())
    capsys.readouterr()
    assert main([*page, "--check"]) == 5
    assert picture.read_text() == before
    assert f"{picture}" in capsys.readouterr().err
    assert main(page) == 0
    assert "renamed" in picture.read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("demo-shape", "picture 'demo-shape' ends in no figure's name. Write NAME- and one of"),
        ("demo-roofline", "demo.json: holds nothing to draw as roofline."),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_an_input_error(
    name: str,
    message: str,
    page: list[str],
    report: Report,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "README.md").write_text(f"<!-- picture: {name} -->\n<!-- /picture -->\n")
    (tmp_path / "demo.json").write_text(replace(report, roofline=None).to_text())
    assert main(page) == 3
    assert message in capsys.readouterr().err
