"""Says why int8 is faster than float32 on this machine, or is not, from measured facts: a sentence per runtime."""

from collections.abc import Sequence
from typing import Literal

from cifar_bench.results.model import ModelReport
from cifar_bench.results.roofline import Roofline, roofline_share

Outcome = Literal["faster", "slower", "equal"]
Pair = tuple[ModelReport, ModelReport]

INT8_DOT_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Instructions that multiply and add several int8 pairs at once (Linux's names)."""

_VECTOR_FLAGS = ("avx512f", "avx2", "avx", "asimd")
_EQUAL_SHARE = 0.05


def why_int8(
    models: Sequence[ModelReport], *, isa_flags: tuple[str, ...], roofline: Roofline | None
) -> str | None:
    """A sentence for each runtime with a pair of int8 and float32 entries, and the processor's; None without one.

    Args:
        models: everything measured in one run.
        isa_flags: what the processor has; a runtime need not use it.
        roofline: the machine's ceilings, if they were measured.
    """
    pairs = _pairs(models)
    if not pairs:
        return None
    sentences = [_sentence(pair, roofline) for pair in pairs]
    return " ".join([*sentences, f"The processor {_instructions(isa_flags)}."])


def _pairs(models: Sequence[ModelReport]) -> list[Pair]:
    """The fastest float32 and int8 entries of each runtime that do the first network's work.

    Both have the same runtime and options; the same multiply-accumulates are the same network.
    """
    pairs = [
        (float32, int8)
        for int8 in models
        for float32 in models
        if (int8.cost.precision, float32.cost.precision) == ("int8", "float32")
        and (int8.runtime, int8.options) == (float32.runtime, float32.options)
        and int8.cost.macs is not None
        and int8.cost.macs == float32.cost.macs
    ]
    fastest: dict[str, Pair] = {}
    for pair in pairs:
        runtime = pair[0].runtime
        if pair[0].cost.macs == pairs[0][0].cost.macs:
            fastest[runtime] = min(fastest.get(runtime, pair), pair, key=_medians)
    return list(fastest.values())


def _medians(pair: Pair) -> tuple[float, float]:
    float32, int8 = pair
    return int8.latency.median_ns, float32.latency.median_ns


def _sentence(pair: Pair, roofline: Roofline | None) -> str:
    float32, int8 = pair
    ratio = float32.latency.median_ns / max(1, int8.latency.median_ns)
    verdict = _verdict(_outcome(ratio), ratio)
    names = f"{int8.name} against {float32.name}"
    facts = "; ".join([*_against_ceilings(pair, roofline), *_delegated(int8)])
    return f"{verdict} in {int8.runtime} ({names}){f': {facts}' if facts else ''}."


def _outcome(ratio: float) -> Outcome:
    if 1 / (1 + _EQUAL_SHARE) < ratio < 1 + _EQUAL_SHARE:
        return "equal"
    return "faster" if ratio > 1 else "slower"


def _verdict(outcome: Outcome, ratio: float) -> str:
    return {
        "faster": f"int8 is {ratio:.2f} times as fast as float32",
        "slower": f"int8 is slower than float32, {1 / ratio:.2f} times its time,",
        "equal": f"int8 and float32 take the same time within {100 * _EQUAL_SHARE:g} %",
    }[outcome]


def _against_ceilings(pair: Pair, roofline: Roofline | None) -> list[str]:
    """The ceilings' ratio and both shares, whose quotient times that ratio is int8's speed-up."""
    float32, int8 = (roofline_share(roofline, model) for model in pair)
    if roofline is None or float32 is None or int8 is None:
        return []
    runtime = pair[0].runtime
    high, low = roofline.ceiling_of(runtime, "int8"), roofline.ceiling_of(runtime, "float32")
    if high is None or low is None:
        return []
    return [
        f"int8's ceiling is {high.macs_per_s / low.macs_per_s:.2f} times float32's here; the int8 model "
        f"reaches {100 * int8:.0f} % of its ceiling, the float32 one {100 * float32:.0f} %"
    ]


def _delegated(model: ModelReport) -> list[str]:
    return [] if model.delegation is None else [model.delegation.sentence]


def _instructions(isa_flags: tuple[str, ...]) -> str:
    """What the processor has to multiply int8 with; whether a runtime used it is not known."""
    if not isa_flags:
        return "does not tell its instruction sets here"
    fast = [flag for flag in INT8_DOT_FLAGS if flag in isa_flags]
    if fast:
        return f"has {', '.join(fast)} for int8"
    widest = next((flag for flag in _VECTOR_FLAGS if flag in isa_flags), isa_flags[-1])
    missing = "int8 dot product" if "asimd" in isa_flags else "VNNI"
    return f"has {widest} as its widest vector set, and no {missing}"
