"""What turns a comparison into pass or fail: limits, and one gate for each of them. Pure, and without numpy.

**When the drop is judged by its interval.** A measured drop of 0.4 points on 1,000 images may be 0
or 1. So the gate judges the upper end of the drop's 95 % interval wherever the data allow it:
where a candidate that disagrees on as many images as ``min_agreement`` lets it, and loses as many
of them as it gains, would still pass. That depends on the number of images and on the limits
alone, never on what was measured. With fewer images even a candidate without any drop could fail
by chance: then the measured drop is judged, and the gate says how many images it would take.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cifar_eval.intervals import paired_difference_interval
from cifar_eval.parity.limits import Limits

if TYPE_CHECKING:
    from cifar_eval.parity.counts import Parity

GateName = Literal["accuracy_drop", "agreement", "accuracy"]
GateBasis = Literal["measured", "interval_end"]

_TEN_THOUSANDTHS = 10_000
_MOST_IMAGES = 10**8


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One limit, applied.

    Attributes:
        name: what was limited.
        value: the judged share.
        limit: the share it must keep.
        passed: whether the value keeps the limit; reaching it exactly passes.
        passing_limit: the strictest limit, in whole hundredths of a percent, that would have
            passed; for a drop judged by its interval, the strictest that is judged so too.
        basis: whether ``value`` is the measured figure or the upper end of its 95 % interval.
        images_needed: about how many images it takes to judge the interval; None where it was
            judged, where it never is, and where no number of images suffices.
    """

    name: GateName
    value: float
    limit: float
    passed: bool
    passing_limit: float
    basis: GateBasis = "measured"
    images_needed: int | None = None

    @property
    def title(self) -> str:
        """What ``value`` is, in words."""
        end = " (upper end of its 95 % interval)" if self.basis == "interval_end" else ""
        return f"{self.name.replace('_', ' ')}{end}"

    @property
    def sentence(self) -> str:
        """The verdict in words, with percent to two decimals."""
        bound = "at most" if self.name == "accuracy_drop" else "at least"
        what = f"{self.title} {self.value:.2%}, limit {bound} {self.limit:.2%}"
        if self.passed:
            return f"{what}: passed"
        return f"{what}: failed ({self.passing_limit:.2%} would have passed)"


def judge(parity: "Parity", limits: Limits) -> tuple[Gate, ...]:
    """One gate for each limit: drop, agreement, and accuracy when it has a floor.

    Example:
        >>> from cifar_eval import Limits, compare, judge
        >>> from cifar_runtime.classifier import default_model
        >>> parity = compare(default_model("onnx"), default_model("tflite"), limit=100)
        >>> [gate.name for gate in judge(parity, Limits(min_accuracy=0.8))]
        ['accuracy_drop', 'agreement', 'accuracy']
    """
    gates = [
        _drop_gate(parity, limits),
        _floor_gate("agreement", parity.agreeing, parity.seen, limits.min_agreement),
    ]
    if limits.min_accuracy is not None:
        gates.append(
            _floor_gate("accuracy", parity.candidate_correct, parity.seen, limits.min_accuracy)
        )
    return tuple(gates)


def resolves_drop(limits: Limits, images: int) -> bool:
    """Whether so many images suffice to judge the drop by its interval; see the module's docstring."""
    return _resolvable_drop(limits.min_agreement, images) <= limits.max_accuracy_drop


def images_to_resolve_drop(limits: Limits) -> int | None:
    """About how many images the drop's limit takes to be judged by the interval; None: any is too few."""
    enough = 1
    while not resolves_drop(limits, enough):
        enough *= 2
        if enough > _MOST_IMAGES:
            return None
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if resolves_drop(limits, middle):
            enough = middle
        else:
            too_few = middle
    return enough


def _resolvable_drop(min_agreement: float, images: int) -> float:
    """The upper end for the candidate that disagrees most and neither loses nor gains, 0..1."""
    # The tolerance keeps 1 - 0.97 of 1,000 images at 30; an odd image counts on both sides.
    each = min(math.ceil(math.floor((1 - min_agreement) * images + 1e-6) / 2), images // 2)
    return paired_difference_interval(each, each, images)[1]


def _drop_gate(parity: "Parity", limits: Limits) -> Gate:
    measured, upper = parity.accuracy_drop, parity.accuracy_drop_interval[1]
    limit, resolvable = (
        limits.max_accuracy_drop,
        _resolvable_drop(limits.min_agreement, parity.seen),
    )
    is_resolved = resolvable <= limit
    value = upper if is_resolved else measured
    passing = max(0.0, -_floored(parity.candidate_correct - parity.reference_correct, parity.seen))
    if is_resolved or passing >= resolvable:
        # A limit that large is judged by the interval.
        passing = math.ceil(max(upper, resolvable) * _TEN_THOUSANDTHS) / _TEN_THOUSANDTHS
    return Gate(
        name="accuracy_drop",
        value=value,
        limit=limit,
        passed=value <= limit,
        passing_limit=passing,
        basis="interval_end" if is_resolved else "measured",
        images_needed=None if is_resolved else images_to_resolve_drop(limits),
    )


def _floor_gate(name: GateName, count: int, seen: int, limit: float) -> Gate:
    return Gate(
        name=name,
        value=count / seen,
        limit=limit,
        passed=count / seen >= limit,
        passing_limit=_floored(count, seen),
    )


def _floored(count: int, seen: int) -> float:
    """``count / seen`` rounded down to hundredths of a percent, in integers: never up."""
    return (count * _TEN_THOUSANDTHS // seen) / _TEN_THOUSANDTHS
