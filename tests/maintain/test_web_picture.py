"""The command that takes the web page's pictures says what it lacks; tests/export/web drives the page itself."""

from pathlib import Path

import pytest

from cifar_maintain import web_picture


def test_without_a_page_or_a_browser_it_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    line = ["--site", str(tmp_path), "-o", str(tmp_path)]
    assert web_picture.main(line) == 3
    assert "Run make web first." in capsys.readouterr().err
    (tmp_path / "index.html").touch()
    assert web_picture.main(line) == 6
    assert "Chromium" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
