"""The HTML page: self-contained, escaped, complete; and drawn as meant in a real browser, where one is installed."""

import builtins
import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cifar_bench.figures.catalogue import FIGURES
from cifar_bench.page.page import html_page, key_figures
from cifar_bench.page.tables import scaling_table
from cifar_bench.results.cost import OperatorTime
from cifar_bench.results.report import Report
from cifar_eval.models.protocols import ModelFile
from cifar_runtime.errors import MissingDependencyError

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
HEAVY_TAIL = ((10_000, 100_000, 100_000), (100_000, 250_000, 900_000)) * 4
PROFILE = (
    OperatorTime(operator="Conv_0", calls=100, total_ns=9_000_000),
    OperatorTime(operator="Gemm_1", calls=100, total_ns=1_000_000),
)


@pytest.fixture
def crowded(report: Report) -> Report:
    """Fourteen entries: runtimes of one file side by side, close accuracies, a profile, a heavy tail."""
    models = list(report.models)
    for index in range(11):
        base = report.models[1 + index % 2]
        name = f"network-{index}-{'int8' if index % 2 else 'float32'}.{'onnx' if index % 3 else 'tflite'}"
        file = ModelFile(
            file=name,
            format="onnx" if index % 3 else "tflite",
            size_bytes=90_000 + 40_000 * index,
            sha256=f"{index:064x}",
        )
        samples = tuple(
            tuple(int(sample * (0.4 + 0.15 * index)) for sample in taken)
            for taken in base.latency.samples_ns
        )
        latency = replace(base.latency, samples_ns=samples)
        models.append(replace(base, name=name, model_file=file, latency=latency))
    models[4] = replace(models[4], profile=PROFILE)
    models[5] = replace(models[5], latency=replace(models[5].latency, samples_ns=HEAVY_TAIL))
    return replace(report, models=tuple(models))


def words(page: str) -> str:
    """What a reader sees of the page."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_needs_nothing_but_itself(crowded: Report) -> None:
    page = html_page(crowded)
    links = re.findall(r"""(?:src|href|url|action)\s*[=(]\s*["']?([^"')\s>]+)""", page)
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_every_model_and_the_exact_command_are_on_the_page(crowded: Report) -> None:
    page_words = words(html_page(crowded))
    for model in crowded.models:
        assert f" {model.name} " in page_words
    assert "cifar-bench seed-cnn-int8.tflite --against seed-cnn.keras" in page_words
    assert "Processor Example CPU (x86_64)" in page_words
    assert "Ceiling, litert int8 128 GMAC/s Memory copy 8 GB/s" in page_words
    assert crowded.exceeded_sentence is not None
    assert crowded.exceeded_sentence in page_words
    assert crowded.why_int8 is not None
    assert crowded.why_int8 in page_words


def test_figures_of_the_results_table(report: Report) -> None:
    page_words = words(html_page(report))
    assert (
        "seed-cnn-int8 litert, xnnpack 81.70 79.18 to 83.97 98.80 0.30 -0.28 to 0.99 129"
        in page_words
    )


def test_the_confusion_matrix_is_shared_by_models_that_decide_alike(report: Report) -> None:
    page = html_page(report)
    assert "seed-cnn, seed-cnn-float32 <span" in page
    assert page.count('<table class="confusion">') == 2


def test_changed_decisions_show_their_pictures_and_both_answers(report: Report) -> None:
    page = html_page(report)
    flips = report.models[2].flips
    assert len(flips) == 12
    assert [f"data:image/png;base64,{flip.png}" for flip in flips] == re.findall(
        r'<img src="([^"]+)"', page
    )
    page_words = words(page)
    assert page_words.count("turned wrong is ") == 5
    assert page_words.count("turned right is ") == 2
    assert page_words.count("both wrong is ") == 5
    assert "turned right is airplane was automobile 82 % now airplane 82 %" in page_words


def test_names_from_outside_are_escaped(report: Report) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    models = (report.models[0], replace(report.models[1], name=hostile), report.models[2])
    page = html_page(replace(report, models=models, command=("cifar-bench", hostile)))
    assert "<img src=x" not in page
    assert hostile in html.unescape(page)


def test_a_report_of_one_model_without_a_reference_has_a_page(report: Report) -> None:
    alone = replace(report.models[0], parity=None, flips=())
    page = html_page(replace(report, reference=None, roofline=None, models=(alone,)))
    assert "Agreement" not in page
    assert "Roofline" not in page
    assert "Changed decisions" not in page
    assert "Against multiply-accumulates" not in page


def test_a_median_that_is_not_known_well_is_pointed_out(report: Report) -> None:
    models = [
        replace(model, latency=replace(model.latency, warmed_up=index != 1))
        for index, model in enumerate(report.models)
    ]
    page = html_page(replace(report, models=tuple(models)))
    summary, page_words = re.findall(
        r"<summary>(\d+ medians? (?:is|are) not known[^<]*)</summary>\n<ul>(.*?)</ul>", page
    )[0]
    assert summary.startswith(f"{page_words.count('<li>')} medians are not known to 2 %")
    assert "seed-cnn-float32 (still getting faster after warm-up)" in page_words
    assert "seed-cnn-int8 with 2 threads (34.2%)" in page_words


def test_medians_by_threads_show_half_their_interval_on_the_page(report: Report) -> None:
    table = scaling_table(report)
    assert table is not None
    assert table.rows[2][:3] == ("seed-cnn-int8", "129\n±27.2%", "102\n±34.2%")


def test_a_busy_machine_is_pointed_out_on_the_page(report: Report) -> None:
    environment = replace(report.environment, load_average=(4.67, 2.0, 1.0))
    sentence = "The machine was busy: load 4.67 on 2 cores at the start."
    assert sentence in html_page(replace(report, environment=environment))
    assert "The machine was busy" not in html_page(report)


def test_key_figures_are_the_reports_best(report: Report) -> None:
    assert [(one.title, one.value, one.detail) for one in key_figures(report)] == [
        ("Most accurate", "82.00", "seed-cnn, tied with 2 others"),
        ("Fastest", "129", "seed-cnn-int8; 1.69 times as fast as seed-cnn-float32"),
        ("Smallest", "397,432", "seed-cnn.keras"),
        ("Best int8 agreement", "98.80", "seed-cnn-int8 with seed-cnn"),
    ]


def test_without_jinja2_the_error_is_the_pip_line(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.__import__

    def lacking(name: str, *arguments: Any) -> Any:
        if name == "jinja2":
            raise ModuleNotFoundError(name)
        return whole(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(MissingDependencyError) as caught:
        html_page(report)
    assert str(caught.value) == (
        "jinja2 is not installed, the HTML page takes it. "
        "In cifar-edge's checkout, run: pip install ./runtime '.[bench]'"
    )


def _luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_and_marks_contrast_with_the_ground_in_both_themes(report: Report) -> None:
    """WCAG 2.2: 4.5 for text, 3 for graphics."""
    page = html_page(report)
    themes = re.findall(
        r"--ink: (#\w{6}); --muted: (#\w{6}); --line: #\w{6}; --ground: (#\w{6})", page
    )
    assert len(themes) == 4  # page and figures, light and dark
    marks = re.findall(
        r"--keras: (#\w{6}); --tflite: (#\w{6}); --onnx: (#\w{6}); --published: (#\w{6})", page
    )

    def contrast(one: str, other: str) -> float:
        high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for ink, muted, ground in themes:
        assert contrast(ink, ground) >= 7
        assert contrast(muted, ground) >= 4.5
    for colours, theme in zip(marks, themes[2:], strict=True):
        assert all(contrast(colour, theme[2]) >= 3 for colour in colours)


def test_counts_contrast_with_the_deepest_tint_of_their_cell_in_both_themes(report: Report) -> None:
    """WCAG 2.2: 4.5 for text. A cell's tint is at most 0.6 opaque, times the theme's depth."""
    page = html_page(report)
    themes = re.findall(
        r"--ink: (#\w{6}); .*?--ground: (#\w{6});.*?"
        r"--right: ([\d, ]+); --wrong: ([\d, ]+); --depth: ([\d.]+);",
        page,
        flags=re.DOTALL,
    )
    assert len(themes) == 2
    assert "calc(var(--shade) * var(--depth))" in page
    shades = [float(shade) for shade in re.findall(r"--shade: ([\d.]+)", page)]
    assert 0 < max(shades) <= 0.6
    for ink, ground, *tints, depth in themes:
        opacity = 0.6 * float(depth)
        under = [int(ground[index : index + 2], 16) for index in (1, 3, 5)]
        for tint in tints:
            mixed = [
                round(opacity * int(over) + (1 - opacity) * base)
                for over, base in zip(tint.split(","), under, strict=True)
            ]
            lighter, darker = sorted(
                (_luminance(ink), _luminance("#" + bytes(mixed).hex())), reverse=True
            )
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5


MEASURE = """
const answers = {};
for (const frame of document.querySelectorAll('iframe')) {
  const page = frame.contentDocument, answer = {figures: 0, overlapping: [], outside: [], empty: []};
  const box = one => one.getBoundingClientRect();
  for (const figure of page.querySelectorAll('svg')) {
    const whole = box(figure);
    if (!whole.width) continue;
    answer.figures += 1;
    const texts = [...figure.querySelectorAll('text')];
    for (const [index, one] of texts.entries()) {
      const a = box(one);
      if (a.left < whole.left - 1 || a.right > whole.right + 1 || a.top < whole.top - 1
          || a.bottom > whole.bottom + 1) answer.outside.push(one.textContent);
      for (const other of texts.slice(index + 1)) {
        const b = box(other);
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 0.5 && high > 2) answer.overlapping.push([one.textContent, other.textContent]);
      }
    }
    for (const shape of figure.querySelectorAll('.mark, .area, .bar, .median')) {
      const drawn = box(shape);
      if (drawn.width + drawn.height < 2) answer.empty.push(shape.outerHTML);
    }
  }
  answer.pictures = [...page.images].length;
  answer.broken = [...page.images].filter(one => one.complete && !one.naturalWidth).length;
  answer.wider = page.documentElement.scrollWidth - page.documentElement.clientWidth;
  answer.unnamed = [...page.querySelectorAll('table')].filter(
    one => !one.caption || one.querySelector('th:not([scope])')).length;
  answers[frame.width] = answer;
}
document.getElementById('answer').textContent = JSON.stringify(answers);
"""


@pytest.fixture
def browsed(crowded: Report, tmp_path: Path) -> Mapping[str, Any]:
    """What a browser found on the page at 1280 and 390 pixels, and what it complained about."""
    if BROWSER is None:
        pytest.skip("no chromium here")
    page = html.escape(html_page(crowded))
    frames = "".join(
        f'<iframe width="{width}" height="800" srcdoc="{page}"></iframe>' for width in (1280, 390)
    )
    start = f"window.addEventListener('load', () => {{ {MEASURE} }});"
    document = f"<!DOCTYPE html><pre id=answer></pre>{frames}<script>{start}</script>"
    (tmp_path / "both.html").write_text(document, encoding="utf-8")
    quiet = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    ended = subprocess.run(
        [
            *(
                BROWSER,
                *quiet,
                "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'profile'}",
            ),
            *("--virtual-time-budget=20000", "--dump-dom", (tmp_path / "both.html").as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = re.search(r'<pre id="answer">(\{.*?\})</pre>', ended.stdout, flags=re.DOTALL)
    assert found, ended.stderr
    complaints = [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
    return {**json.loads(html.unescape(found[1])), "complaints": complaints}


def test_a_browser_draws_every_figure_and_no_label_over_another(browsed: Mapping[str, Any]) -> None:
    assert browsed["complaints"] == []
    for width in ("1280", "390"):
        assert browsed[width] == {
            "figures": len(FIGURES),
            "overlapping": [],
            "outside": [],
            "empty": [],
            "pictures": 12 + 5 * 12,
            "broken": 0,
            "wider": 0,
            "unnamed": 0,
        }


def test_entries_of_one_network_stand_together_under_a_line(report: Report) -> None:
    """A Keras file, its exports, and between them a file of another network."""
    first, *rest = report.models
    other = replace(
        rest[0], name="other", model_file=replace(rest[0].model_file, file="other-int8.tflite")
    )
    page = html_page(replace(report, models=(first, other, *rest)))
    table = page.split('<table class="results">')[1].split("</table>")[0]
    rows = re.findall(r'<tr( class="group")?><th scope="row">([^<]*)<', table)
    assert [name for _, name in rows] == [first.name, *(one.name for one in rest), "other"]
    assert [name for group, name in rows if group] == [first.name, "other"]
