"""Says in one sentence why int8 is faster than float32 on this machine, or is not, from measured facts."""

from collections.abc import Sequence
from typing import Literal

from cifar_bench.model_report import ModelReport

Outcome = Literal["faster", "slower", "equal"]

INT8_DOT_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Instructions that multiply and add several int8 pairs at once (Linux's names)."""

_VECTOR_FLAGS = ("avx512f", "avx2", "avx", "asimd")
_EQUAL_SHARE = 0.05


def why_int8(models: Sequence[ModelReport], *, isa_flags: tuple[str, ...]) -> str | None:
    """The sentence about the fastest int8 and float32 entries of one network in one runtime; None without a pair.

    Args:
        models: everything measured in one run.
        isa_flags: what the processor has.
    """
    pair = _pair(models)
    if pair is None:
        return None
    float32, int8 = pair
    ratio = float32.latency.median_ns / max(1, int8.latency.median_ns)
    outcome = _outcome(ratio)
    facts = "; ".join([_instructions(isa_flags, outcome, int8), *_delegated(int8)])
    return f"{_verdict(outcome, ratio)} in {int8.runtime} ({int8.name} against {float32.name}): {facts}."


def _pair(models: Sequence[ModelReport]) -> tuple[ModelReport, ModelReport] | None:
    """The fastest float32 and int8 entries by their medians that do the first network's work.

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
    return min(
        (pair for pair in pairs if pair[0].cost.macs == pairs[0][0].cost.macs),
        key=lambda pair: (pair[1].latency.median_ns, pair[0].latency.median_ns),
        default=None,
    )


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


def _instructions(isa_flags: tuple[str, ...], outcome: Outcome, int8: ModelReport) -> str:
    """What the processor multiplies int8 with; ``although`` where that speaks against the verdict."""
    if not isa_flags:
        return "the processor's instruction sets cannot be read here"
    fast = [flag for flag in INT8_DOT_FLAGS if flag in isa_flags]
    although = "although " if outcome == ("slower" if fast else "faster") else ""
    if fast:
        return f"{although}the processor can multiply int8 with {', '.join(fast)}"
    widest = next((flag for flag in _VECTOR_FLAGS if flag in isa_flags), isa_flags[-1])
    missing = "int8 dot product" if "asimd" in isa_flags else "VNNI"
    lacking = f"{although}the processor has no {missing} ({widest} is its widest vector set)"
    if outcome != "slower" or "fma" not in isa_flags or int8.options.get("xnnpack") is not True:
        return lacking
    return (
        f"{lacking}; without it int8 products can need more instructions than float32's "
        "fused multiply-add"
    )


def _delegated(model: ModelReport) -> list[str]:
    return [] if model.delegation is None else [model.delegation.sentence]
