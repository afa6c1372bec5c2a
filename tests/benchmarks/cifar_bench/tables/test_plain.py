"""Whole tables, character by character, and the rules of number formatting."""

from dataclasses import replace

import pytest

from cifar_bench.results.report import Report
from cifar_bench.results.timings import Throughput
from cifar_bench.tables.plain import markdown_table, plain_table
from cifar_eval.formatting import markdown_rows, microseconds, percent

PLAIN = """\
Accuracy: percent, split test-sample, 1,000 images.
Latency: one inference of one ready image, microseconds, 1 thread, 100 runs in 10 rounds.
Machine: Example CPU, 2 cores, load 0.50, Linux 6.8, CPython 3.11.7.

model             top-1         95 %   correct   agree  drop    min  median      ±    p90    p99    bytes
seed-cnn          82.00  79.50-84.26  820/1000       -     -  3,000   3,050   1.1%  3,090  3,100  397,432
seed-cnn-float32  82.00  79.50-84.26  820/1000  100.00  0.00    168     217  16.1%    257    266  397,432
seed-cnn-int8     81.70  79.18-83.97  817/1000   98.80  0.30   79.9     129  27.2%    169    178  397,432

Start, one picture's preprocessing: microseconds. Images/s: best batch, threads as above.
Load, first inference and peak memory: one sample each, in a fresh process.
Cold start: whole runs of cifar-classify, which tries a model without a card in a child process first.
model              load   first  cold start  preprocess  peak MB    images/s  parameters  MMACs  GMAC/s  of ceiling
seed-cnn          2,500  15,000           -           -      612     333 @32     381,066      -       -           -
seed-cnn-float32  2,500     842     161,000         900       41   5,937 @32     381,066  17.94    82.5        129%
seed-cnn-int8     2,500     400     161,000         900       41  12,511 @32     381,066  17.94   139.2        109%

median by threads      1      ±      2      ±
seed-cnn           3,050   1.1%  2,050   1.7%
seed-cnn-float32     217  16.1%    161  21.7%
seed-cnn-int8        129  27.2%    102  34.2%

Against seed-cnn:
seed-cnn-float32: drop 0.00 points (95 % interval -0.38 to 0.38), 0 turned wrong, 0 right
seed-cnn-int8: drop 0.30 points (95 % interval -0.28 to 0.99), 5 turned wrong, 2 right

Ceilings of one thread: GMAC/s: litert float32 64.0 (512 x 512), litert int8 128.0 (512 x 512); copying memory
8.0 GB/s.
More than was measured as the ceiling, which bounds nothing then: seed-cnn-float32 (129 %), seed-cnn-int8 (109
%).
int8 is 1.69 times as fast as float32 in litert (seed-cnn-int8 against seed-cnn-float32): int8's ceiling is
2.00 times float32's here; the int8 model reaches 109 % of its ceiling, the float32 one 129 %; XNNPACK runs 7
of 8 operators, LiteRT's own kernels SOFTMAX. The processor has avx2 as its widest vector set, and no VNNI.

Not steady, 95 % interval wanted within 2 % of the median: seed-cnn-float32 (16.1%), seed-cnn-float32 with 2
threads (21.7%), seed-cnn-int8 (27.2%), seed-cnn-int8 with 2 threads (34.2%).
Close other programs, fix the processor's frequency, or measure longer: --max-seconds 120.
"""


def test_plain_table_with_a_reference(report: Report) -> None:
    assert plain_table(report) == PLAIN
    assert max(map(len, plain_table(report).splitlines())) <= 120


PLAIN_ALONE = """\
Accuracy: percent, split test-sample, 1,000 images.
Latency: one inference of one ready image, microseconds, 1 thread, 100 runs in 10 rounds.
Machine: Example CPU, 2 cores, load 0.50, Linux 6.8, CPython 3.11.7.

model          top-1         95 %   correct   min  median      ±  p90  p99    bytes
seed-cnn-int8  81.70  79.18-83.97  817/1000  79.9     129  27.2%  169  178  397,432

Start, one picture's preprocessing: microseconds. Images/s: best batch, threads as above.
Load, first inference and peak memory: one sample each, in a fresh process.
Cold start: whole runs of cifar-classify, which tries a model without a card in a child process first.
model           load  first  cold start  preprocess  peak MB    images/s  parameters  MMACs  GMAC/s
seed-cnn-int8  2,500    400     161,000         900       41  12,511 @32     381,066  17.94   139.2

Not steady, 95 % interval wanted within 2 % of the median: seed-cnn-int8 (27.2%).
Close other programs, fix the processor's frequency, or measure longer: --max-seconds 120.
"""


def test_plain_table_without_a_reference(report: Report) -> None:
    model = replace(report.models[2], reference=None, parity=None, threads=())
    alone = replace(report, reference=None, roofline=None, models=(model,))
    assert plain_table(alone) == PLAIN_ALONE


MARKDOWN = (
    "| model | runtime | top-1 % (95 % interval) | correct / seen | agreement % "
    "| drop in points (95 % interval) | median µs | ± | p99 µs | bytes | MMACs | GMAC/s "
    "| of ceiling |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    "| seed-cnn | keras/tensorflow | 82.00 (79.50 to 84.26) | 820 / 1,000 | - | - "
    "| 3,050 | 1.1% | 3,100 | 397,432 | - | - | - |\n"
    "| seed-cnn-float32 | litert | 82.00 (79.50 to 84.26) | 820 / 1,000 | 100.00 "
    "| 0.00 (-0.38 to 0.38) | 217 | 16.1% | 266 | 397,432 | 17.94 | 82.5 | 129% |\n"
    "| seed-cnn-int8 | litert | 81.70 (79.18 to 83.97) | 817 / 1,000 | 98.80 "
    "| 0.30 (-0.28 to 0.99) | 129 | 27.2% | 178 | 397,432 | 17.94 | 139.2 | 109% |\n"
    "\n"
    "Accuracy: percent, split test-sample, 1,000 images. "
    "Latency: one inference of one ready image, microseconds, 1 thread, 100 runs in 10 rounds. "
    "Machine: Example CPU, 2 cores, load 0.50, Linux 6.8, CPython 3.11.7. "
    "±: half the 95 % interval of the median. "
    "Ceilings of one thread: GMAC/s: litert float32 64.0 (512 x 512), "
    "litert int8 128.0 (512 x 512); copying memory 8.0 GB/s. "
    "More than was measured as the ceiling, which bounds nothing then: "
    "seed-cnn-float32 (129 %), seed-cnn-int8 (109 %).\n"
    "\n"
    "Not steady, 95 % interval wanted within 2 % of the median: seed-cnn-float32 (16.1%), "
    "seed-cnn-float32 with 2 threads (21.7%), seed-cnn-int8 (27.2%), "
    "seed-cnn-int8 with 2 threads (34.2%). "
    "Close other programs, fix the processor's frequency, or measure longer: --max-seconds 120.\n"
)


def test_markdown_table_with_a_reference(report: Report) -> None:
    assert markdown_table(report) == MARKDOWN


def test_several_references_are_each_told_with_those_compared_with_them(report: Report) -> None:
    reference, float32, int8 = report.models
    with_two = replace(
        report, models=(reference, float32, replace(int8, reference="seed-cnn-float32"))
    )
    assert (
        "Against seed-cnn:\n"
        "seed-cnn-float32: drop 0.00 points (95 % interval -0.38 to 0.38), 0 turned wrong, 0 right\n"
        "Against seed-cnn-float32:\n"
        "seed-cnn-int8: drop 0.30 points (95 % interval -0.28 to 0.99), 5 turned wrong, 2 right\n"
    ) in plain_table(with_two)
    assert (
        "Agreement and drop: seed-cnn-float32 with seed-cnn; seed-cnn-int8 with seed-cnn-float32. "
    ) in markdown_table(with_two)


def test_differing_threads_are_told_model_by_model(report: Report) -> None:
    free = replace(report.models[0], latency=replace(report.models[0].latency, threads=None))
    text = plain_table(replace(report, models=(free, *report.models[1:])))
    assert (
        "microseconds, threads: seed-cnn its own choice, seed-cnn-float32 1, seed-cnn-int8 1, "
        "100 runs in 10 rounds."
    ) in text


def test_what_was_not_measured_has_neither_a_column_nor_a_caption(report: Report) -> None:
    models = [replace(model, cold_start=None, throughput=()) for model in report.models]
    lines = plain_table(replace(report, models=tuple(models), roofline=None)).splitlines()
    captions = lines.index("Start, one picture's preprocessing: microseconds.")
    assert lines[captions + 1].startswith("Load, first inference and peak memory")
    columns = lines[captions + 2].split()
    assert columns == [
        "model",
        "load",
        "first",
        "preprocess",
        "peak",
        "MB",
        "parameters",
        "MMACs",
        "GMAC/s",
    ]


def test_best_throughput_is_with_the_first_thread_count_only(report: Report) -> None:
    """Two threads would give ten million images a second."""
    model = report.models[2]
    faster = Throughput(batch_size=64, threads=2, samples_ns=(6_400,))
    both = replace(model, throughput=(*model.throughput, faster))
    text = plain_table(replace(report, models=(*report.models[:2], both)))
    assert "12,511 @32" in text
    assert "@64" not in text


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0"),
        (1, "0.00100"),
        (512, "0.512"),
        (999, "0.999"),
        (1_234, "1.23"),
        (9_996, "10.0"),
        (38_249, "38.2"),
        (99_940, "99.9"),
        (99_960, "100"),
        (123_456, "123"),
        (999_600, "1,000"),
        (1_234_567, "1,230"),
        (12_345_678, "12,300"),
    ],
)
def test_microseconds_have_three_significant_digits(duration_ns: int, text: str) -> None:
    assert microseconds(duration_ns) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.6591, "65.91"), (1.0, "100.00"), (0.0, "0.00"), (-0.001, "-0.10"), (-1e-9, "0.00")],
)
def test_percent_has_two_decimals_and_no_minus_zero(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_name_is_no_html_and_no_column_in_markdown() -> None:
    rows = markdown_rows(["model", "top-1"], [["<script>a|b</script>\x1b[2J", "90.00"]])
    assert rows[2] == "| &lt;script>a\\|b&lt;/script>\\x1b[2J | 90.00 |"


def test_a_name_forges_no_line_of_a_table_and_colours_none(report: Report) -> None:
    """The name of a file without a card is its own, and that may hold anything but a slash."""
    forged = replace(report.models[2], name="mine\n\x1b[31mseed-cnn  100.00")
    text = plain_table(replace(report, models=(*report.models[:2], forged)))
    assert "\x1b" not in text
    lines = text.split("\n")
    assert not any(line.startswith("\\x1b[31mseed-cnn") for line in lines)
    assert sum(line.startswith("mine\\n\\x1b[31mseed-cnn  100.00  ") for line in lines) == 3
