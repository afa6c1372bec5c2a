"""The regression gate: a slowed or worse model fails, noise does not, other machines are refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cifar_bench.regression.gates import RegressionGate, judge_beside, judge_regression
from cifar_bench.regression.limits import RegressionLimits
from cifar_bench.regression.pairs import unpaired_sentence, unshared_sentence
from cifar_bench.results.latency import Latency
from cifar_bench.results.model import ModelReport
from cifar_bench.results.report import Report
from cifar_eval.detailed_accuracy import DetailedAccuracy
from cifar_runtime.errors import InputError, UsageError

LIMITS = RegressionLimits(max_slowdown=0.1, max_accuracy_drop=0.005)
Change = Callable[[ModelReport], ModelReport]


def noisy(report: Report, seed: int) -> Report:
    """The report with twenty rounds of realistic noise: 1 % between rounds, 3 % within."""
    generator = np.random.default_rng(seed)

    def change(model: ModelReport) -> ModelReport:
        rounds = model.latency.median_ns * (1 + generator.normal(0, 0.01, (20, 1)))
        samples = (rounds * (1 + abs(generator.normal(0, 0.03, (20, 50))))).astype(int)
        return with_samples(model, tuple(map(tuple, samples.tolist())))

    return changed(report, change)


def with_samples(model: ModelReport, samples_ns: tuple[tuple[int, ...], ...]) -> ModelReport:
    return replace(model, latency=replace(model.latency, samples_ns=samples_ns))


def changed(report: Report, change: Change) -> Report:
    return replace(report, models=tuple(map(change, report.models)))


def slowed(report: Report, factor: float) -> Report:
    def scale(latency: Latency) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(int(one * factor) for one in taken) for taken in latency.samples_ns)

    return changed(report, lambda model: with_samples(model, scale(model.latency)))


def verdicts(gates: tuple[RegressionGate, ...], name: str) -> set[bool]:
    return {gate.passed for gate in gates if gate.name == name}


def test_the_same_report_passes(report: Report) -> None:
    gates = judge_regression(report, report, LIMITS)
    assert [gate.name for gate in gates] == ["latency", "accuracy"] * 3
    assert all(gate.passed for gate in gates)
    assert {gate.change for gate in gates} == {0.0}


@pytest.mark.parametrize(
    ("factor", "passed"), [(0.5, True), (1.05, True), (1.15, False), (3, False)]
)
def test_a_slowed_model_fails_beyond_the_limit_and_passes_within_it(
    report: Report, factor: float, passed: bool
) -> None:
    old, new = noisy(report, 1), slowed(noisy(report, 2), factor)
    gates = judge_regression(old, new, LIMITS)
    assert verdicts(gates, "latency") == {passed}
    assert verdicts(gates, "accuracy") == {True}
    for gate in gates[::2]:
        assert gate.change == pytest.approx(factor - 1, abs=0.03 * factor)
        assert gate.interval[0] <= gate.change <= gate.interval[1]


def test_a_change_beyond_the_limit_but_not_beyond_chance_passes_and_says_so(report: Report) -> None:
    def rounds(*medians: int) -> Report:
        return changed(report, lambda model: with_samples(model, tuple((one,) for one in medians)))

    old, new = rounds(90, 100, 110, 300), rounds(80, 120, 121, 122)
    gate = judge_regression(old, new, LIMITS)[0]
    assert gate.passed
    assert gate.is_beyond_limit
    assert gate.sentence == (
        "seed-cnn: median latency 0.100 µs, now 0.120 µs (+20.0 %, 95 % interval "
        f"{100 * gate.interval[0]:+.1f} to {100 * gate.interval[1]:+.1f} %): passed, beyond the "
        f"limit 10 % but not beyond chance (p {gate.p_value:.2g}, Mann-Whitney test of the rounds' "
        "medians): measure longer"
    )


def worse(accuracy: DetailedAccuracy, images: int) -> DetailedAccuracy:
    """The same decisions, but the first so many right images are decided as the next class."""
    wrong = set(accuracy.wrong)
    right = [position for position in range(accuracy.seen) if position not in wrong][:images]
    confusion = [list(row) for row in accuracy.confusion]
    for position in right:
        label = position % 10
        confusion[label][label] -= 1
        confusion[label][(label + 1) % 10] += 1
    return replace(
        accuracy,
        confusion=tuple(map(tuple, confusion)),
        wrong=tuple(sorted(wrong | set(right))),
    )


def with_accuracy(report: Report, change: Callable[[DetailedAccuracy], DetailedAccuracy]) -> Report:
    return changed(report, lambda model: replace(model, accuracy=change(model.accuracy)))


@pytest.mark.parametrize(("images", "passed"), [(4, True), (5, True), (6, False)])
def test_lost_images_are_paired_when_the_images_are_the_same(
    report: Report, images: int, passed: bool
) -> None:
    new = with_accuracy(report, lambda accuracy: worse(accuracy, images))
    gate = judge_regression(report, new, LIMITS)[1]
    assert (gate.method, gate.passed) == ("mcnemar", passed)
    assert gate.change == pytest.approx(images / 1000)
    assert gate.p_value == pytest.approx(0.5**images)  # nothing gained


def test_on_other_images_two_proportions_are_compared(report: Report) -> None:
    def elsewhere(accuracy: DetailedAccuracy, images: int) -> DetailedAccuracy:
        return replace(worse(accuracy, images), images_sha256="0" * 64)

    noise = with_accuracy(report, lambda accuracy: elsewhere(accuracy, 20))
    gate = judge_regression(report, noise, LIMITS)[1]
    assert (gate.method, gate.is_beyond_limit, gate.passed) == ("two-proportion", True, True)
    broken = with_accuracy(report, lambda accuracy: elsewhere(accuracy, 60))
    gate = judge_regression(report, broken, LIMITS)[1]
    # 820 and 760 of 1,000: pooled 0.79, z = 0.06 / sqrt(0.79 * 0.21 * 0.002) = 3.294.
    assert gate.p_value == pytest.approx(0.000494, rel=0.01)
    assert not gate.passed
    assert gate.sentence.endswith(
        "failed, limit 0.5 pp (p 0.00049, two-proportion test, not paired: other images)"
    )
    assert gate.interval == pytest.approx((0.0242, 0.0957), abs=2e-4)  # Newcombe's method 10


def test_other_machines_are_refused(report: Report) -> None:
    other = replace(report, environment=replace(report.environment, cpu_model="Other", cores=8))
    with pytest.raises(InputError) as caught:
        judge_regression(other, report, LIMITS)
    assert str(caught.value) == (
        "the baseline was measured on another machine (processor Other and Example CPU; "
        "cores 8 and 2), so its times cannot be compared. Measure the baseline on this machine."
    )


def one_thread_more(model: ModelReport) -> ModelReport:
    return replace(model, latency=replace(model.latency, threads=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: replace(model, name=f"{model.name}-new"), "none of which is in this report"),
        (one_thread_more, "with threads 1, this report with 2"),
        (lambda model: replace(model, options={"xnnpack": False}), "none of which is in"),
        (lambda model: replace(model, runtime="other"), "with runtime"),
        (lambda model: with_samples(model, ((100, 101),)), "10 and 1 rounds are too few"),
    ],
)
def test_what_was_measured_differently_is_refused(
    report: Report, change: Change, message: str
) -> None:
    new = changed(replace(report, reference=None), change)
    with pytest.raises(InputError, match=message):
        judge_regression(report, new, LIMITS)


def test_models_of_one_report_only_are_not_judged(report: Report) -> None:
    new = replace(report, models=report.models[1:], reference=None)
    assert {gate.model for gate in judge_regression(report, new, LIMITS)} == {
        "seed-cnn-float32",
        "seed-cnn-int8",
    }


def alone(report: Report, name: str) -> Report:
    """The report's int8 model by itself, under that name."""
    return replace(report, reference=None, models=(replace(report.models[2], name=name),))


@pytest.mark.parametrize(
    "name", ["seed-cnn-int8.tflite", "seed-cnn-int8 (litert)", "seed-cnn-int8.tflite (litert)"]
)
def test_a_model_is_itself_whatever_was_measured_beside_it(report: Report, name: str) -> None:
    gates = judge_regression(report, alone(report, name), LIMITS)
    assert [gate.model for gate in gates] == [name, name]
    assert unshared_sentence(report, alone(report, name)) == (
        "Not judged, in one report only: seed-cnn, seed-cnn-float32 of the baseline."
    )


def test_a_model_of_another_format_or_other_options_is_another_one(report: Report) -> None:
    (int8,) = alone(report, "seed-cnn-int8").models
    onnx = replace(
        int8, name="seed-cnn-int8.onnx", model_file=replace(int8.model_file, format="onnx")
    )
    plain = replace(int8, name="seed-cnn-int8 (litert-no-xnnpack)", options={"xnnpack": False})
    new = replace(report, reference=None, models=(onnx, plain, report.models[1]))
    assert {gate.model for gate in judge_regression(report, new, LIMITS)} == {"seed-cnn-float32"}
    assert unshared_sentence(report, new) == (
        "Not judged, in one report only: seed-cnn, seed-cnn-int8 of the baseline; "
        "seed-cnn-int8.onnx, seed-cnn-int8 (litert-no-xnnpack) of this report."
    )


def test_numbered_models_belong_together_by_their_number_alone(report: Report) -> None:
    first, second = (
        alone(report, f"seed-cnn-int8.tflite #{number}").models[0] for number in (1, 2)
    )
    both = replace(report, reference=None, models=(first, second))
    assert [gate.model for gate in judge_regression(both, both, LIMITS)[::2]] == [
        first.name,
        second.name,
    ]
    with pytest.raises(InputError, match="none of which is in this report"):
        judge_regression(both, alone(report, "seed-cnn-int8"), LIMITS)


def test_all_models_shared_leaves_nothing_to_say(report: Report) -> None:
    assert unshared_sentence(report, report) is None


def test_a_limit_that_is_no_share_is_refused() -> None:
    with pytest.raises(UsageError, match="max_slowdown is 10"):
        RegressionLimits(max_slowdown=10)


OLD = "0d" * 32


def beside(report: Report, factor: float) -> Report:
    """A reference, an older int8 model, and its successor that takes ``factor`` times as long.

    Rounds differ by a factor of up to two from each other, and both models alike: a busy machine.
    """
    generator = np.random.default_rng(5)
    rounds = 100_000 * np.exp2(generator.uniform(0, 1, (20, 1)))

    def samples(slower: float) -> tuple[tuple[int, ...], ...]:
        taken = rounds * slower * (1 + abs(generator.normal(0, 0.01, (20, 50))))
        return tuple(map(tuple, taken.astype(int).tolist()))

    int8 = report.models[2]
    old = replace(int8, name="seed-cnn-int8 #1", model_file=replace(int8.model_file, sha256=OLD))
    return replace(
        report,
        models=(
            *report.models[:2],
            with_samples(old, samples(1.0)),
            with_samples(replace(int8, name="seed-cnn-int8 #2"), samples(factor)),
        ),
    )


@pytest.mark.parametrize(("factor", "passed"), [(0.9, True), (1.05, True), (1.15, False)])
def test_in_one_run_rounds_are_pairs(report: Report, factor: float, passed: bool) -> None:
    """The references before the baseline are not judged; 15 % is found although rounds differ by 100 %."""
    new = beside(report, factor)
    latency, accuracy = judge_beside(OLD, new, LIMITS)
    assert (latency.model, latency.method, latency.passed) == (
        "seed-cnn-int8 #2",
        "signed-rank",
        passed,
    )
    assert latency.interval == pytest.approx((factor - 1, factor - 1), abs=0.01)
    assert (accuracy.method, accuracy.passed) == ("mcnemar", True)


def test_without_pairs_a_busy_machine_hides_the_same_slowdown(report: Report) -> None:
    _, _, old, new = beside(report, 1.15).models
    before = replace(report, reference=None, models=(replace(old, name="seed-cnn-int8"),))
    after = replace(report, reference=None, models=(replace(new, name="seed-cnn-int8"),))
    gate = judge_regression(before, after, LIMITS)[0]
    assert (gate.method, gate.is_beyond_limit, gate.is_significant) == ("mann-whitney", True, False)


def test_the_paired_verdict_names_its_test(report: Report) -> None:
    gate = judge_beside(OLD, beside(report, 1.15), LIMITS)[0]
    assert gate.sentence.endswith(
        f"failed, limit 10 % (p {gate.p_value:.2g}, Wilcoxon signed-rank test, paired by round)"
    )


def test_models_in_another_runtime_than_the_baseline_are_not_judged(report: Report) -> None:
    run = beside(report, 1.0)
    plain = replace(run.models[3], name="plain", options={"xnnpack": False})
    assert unpaired_sentence(OLD, run) is None
    both = replace(run, models=(*run.models, plain))
    assert {gate.model for gate in judge_beside(OLD, both, LIMITS)} == {"seed-cnn-int8 #2"}
    assert unpaired_sentence(OLD, both) == (
        "Not judged, run in another way than the baseline: plain."
    )
    with pytest.raises(
        InputError, match="no model ran in the way of the baseline seed-cnn-int8 #1"
    ):
        judge_beside(OLD, replace(run, models=(*run.models[:3], plain)), LIMITS)


def test_a_baseline_in_two_variants_judges_each_by_its_own(report: Report) -> None:
    reference, _, old, new = beside(report, 1.15).models
    others = [
        replace(one, name=f"{one.name}, plain", options={"xnnpack": False}) for one in (old, new)
    ]
    run = replace(report, models=(reference, old, others[0], new, others[1]))
    gates = judge_beside(OLD, run, LIMITS)[::2]
    assert [gate.model for gate in gates] == ["seed-cnn-int8 #2", "seed-cnn-int8 #2, plain"]


def test_the_same_bytes_under_another_path_are_judged_too(report: Report) -> None:
    run = beside(report, 1.0)
    twin = replace(run.models[3], model_file=run.models[2].model_file)
    gates = judge_beside(OLD, replace(run, models=(*run.models[:3], twin)), LIMITS)
    assert {gate.model for gate in gates} == {"seed-cnn-int8 #2"}


def test_five_rounds_are_too_few_for_pairs(report: Report) -> None:
    short = changed(
        beside(report, 3), lambda model: with_samples(model, model.latency.samples_ns[:5])
    )
    with pytest.raises(InputError, match=r"5 and 5 rounds are too few .* at least six rounds"):
        judge_beside(OLD, short, LIMITS)
