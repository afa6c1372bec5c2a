"""What a model expects and returns, as data: it makes an artefact's preprocessing executable.

It holds dataclasses and their JSON form; it never touches pixels (see ``preprocess``) or files (see
``artefact``).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from cifar_runtime.errors import ArtefactError
from cifar_runtime.plain_text import reason_of, shortened

TensorType = Literal["float32", "int8", "uint8"]
ScoreKind = Literal["probabilities", "logits", "independent-probabilities"]
AbstentionScore = Literal["probability", "generalized-entropy"]
ResizeFilter = Literal["bilinear", "bicubic", "lanczos", "bilinear-no-antialias"]
Layout = Literal["NHWC"]
ColourOrder = Literal["RGB", "grey", "RGBA"]
Resize = Literal["centre-crop", "stretch", "letterbox"]
JpegDecoding = Literal["full", "reduced"]
COLOUR_ORDERS: Mapping[int, ColourOrder] = {1: "grey", 3: "RGB", 4: "RGBA"}
"""What the channels of an input are, by their number."""
# Limits far outside of what any model needs: beyond them arithmetic in float32 loses its meaning.
MAX_SIZE = 4096  # pixels along an axis of the input
MAX_LABELS = 100_000
MAX_LABEL_LENGTH = 200
MULTIPLIER_RANGE = (1e-9, 1e9)
SCALE_RANGE = (1e-12, 1e9)
TEMPERATURE_RANGE = (1e-3, 1e3)
MAX_OFFSET = 1e9
LEAST_JPEG_SIDES = 4
"""The sides that reduced decoding leaves a JPEG at least, in longer sides of the input."""
LABEL_THRESHOLD = 0.5
"""The smallest independent probability of a label that holds, where nobody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputContract:
    """How an image becomes the model's input tensor, shape (n, height, width, channels), NHWC.

    A pixel (0..255) becomes ``real = pixel * multiplier + offset``. A quantized model then
    takes ``round(real / scale) + zero_point``, saturated to its dtype.

    Attributes:
        shape: (height, width, channels); 3 channels, or 1 of grey, or 4 with transparency.
        dtype: element type of the tensor.
        multiplier: real units per pixel step.
        offset: real value of pixel 0.
        scale: real units per integer step; None for float32.
        zero_point: integer that stands for real 0; None for float32.
        resize_filter: how pixels are mixed: antialiased, as Pillow does it, or ``bilinear-no-antialias``, as Keras'
            and TensorFlow's resizing does it unless asked otherwise.
        layout: order of the tensor's axes.
        colour_order: order of its channels.
        resize: how a picture gets the input's aspect ratio: what does not fit is cut off (``centre-crop``), both sides
            are scaled by themselves (``stretch``), or black bars are added (``letterbox``).
        jpeg_decoding: JPEG files are decoded in ``full``, or ``reduced``: at the smallest of the scales 1/8, 1/4, 1/2
            and 1 that leaves both sides at least four times the longer side of the input. Arrays and Pillow images come
            decoded. Source: libjpeg's documentation, scale_num and scale_denom.
    """

    shape: tuple[int, int, int]
    dtype: TensorType
    multiplier: float
    offset: float
    scale: float | None
    zero_point: int | None
    resize_filter: ResizeFilter
    layout: Layout = "NHWC"
    colour_order: ColourOrder = "RGB"
    resize: Resize = "centre-crop"
    jpeg_decoding: JpegDecoding = "full"

    def __post_init__(self) -> None:
        sizes_are_whole = all(type(size) is int and 0 < size <= MAX_SIZE for size in self.shape)
        if len(self.shape) != 3 or not sizes_are_whole or self.shape[2] not in COLOUR_ORDERS:
            raise _invalid(
                *("input.shape", self.shape),
                f"(height, width, channels) with 3, 1 or 4 channels, all positive, at most {MAX_SIZE}",
            )
        _check_numbers("input", self.multiplier, self.offset)
        _check_choice("input.resize_filter", self.resize_filter, get_args(ResizeFilter))
        _check_choice("input.layout", self.layout, get_args(Layout))
        _check_choice("input.colour_order", self.colour_order, (COLOUR_ORDERS[self.shape[2]],))
        _check_choice("input.resize", self.resize, get_args(Resize))
        # Without antialiasing the pixels between those that are mixed do not count: they are not to be averaged.
        decodings = (
            ("full",) if self.resize_filter == "bilinear-no-antialias" else get_args(JpegDecoding)
        )
        _check_choice("input.jpeg_decoding", self.jpeg_decoding, decodings)
        _check_range("input.multiplier", self.multiplier, MULTIPLIER_RANGE)
        if abs(self.offset) > MAX_OFFSET:
            raise _invalid("input.offset", self.offset, f"at most {MAX_OFFSET:g} on either side")
        _check_quantization("input", self.dtype, self.scale, self.zero_point)

    @property
    def filter_in_words(self) -> str:
        """The filter for people, such as ``antialiased bicubic``."""
        name, _, without = self.resize_filter.partition("-no-")
        return f"{name} without antialiasing" if without else f"antialiased {name}"

    @property
    def jpeg_decoding_in_words(self) -> str | None:
        """What reduced decoding does, for people; None where JPEGs are decoded in full."""
        side = self.least_jpeg_side
        if side is None:
            return None
        return f"JPEGs decoded at the smallest of 1/8, 1/4, 1/2 and 1 that leaves both sides {side} pixels"

    @property
    def least_jpeg_side(self) -> int | None:
        """The pixels that reduced decoding leaves a JPEG's sides at least; None where JPEGs are decoded in full."""
        return LEAST_JPEG_SIDES * max(self.shape[:2]) if self.jpeg_decoding == "reduced" else None

    def to_json(self) -> dict[str, Any]:
        """The contract of the input as JSON-ready data."""
        document = asdict(self)
        if self.jpeg_decoding == "full":
            del document["jpeg_decoding"]  # the bytes of all others stay what they were
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputContract:
    """How the model's output tensor, shape (n, num_classes), becomes scores.

    A quantized score stands for ``(q - zero_point) * scale``.

    Attributes:
        kind: what the scores are: those of classes of which one holds, as probabilities or logits, or
            ``independent-probabilities`` of labels of which any number may hold.
        dtype: element type of the tensor.
        scale: real units per integer step; None for float32.
        zero_point: integer that stands for real 0; None for float32.
        temperature: what logits are divided by before the softmax, so that probabilities are as often right
            as they say; probabilities p become p ** (1 / temperature), normalised, which is the same. None:
            not calibrated. Source: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
        abstention_threshold: smallest certainty of a sure answer, 0..1; below it the runtime abstains. None: it
            never does.
        abstention_score: what is compared with it, after the temperature: the best label's probability, or how far
            all labels' are from equal, see :func:`cifar_runtime.scores.certainties_from_probabilities`.
        label_threshold: smallest independent probability of a label that holds, above 0, up to 1; for these None
            becomes 0.5, and for other kinds it stays None.
    """

    kind: ScoreKind
    dtype: TensorType
    scale: float | None
    zero_point: int | None
    temperature: float | None = None
    abstention_threshold: float | None = None
    abstention_score: AbstentionScore = "probability"
    label_threshold: float | None = None

    def __post_init__(self) -> None:
        _check_choice("output.kind", self.kind, get_args(ScoreKind))
        if self.is_independent and self.label_threshold is None:
            object.__setattr__(self, "label_threshold", LABEL_THRESHOLD)
        self._check_label_threshold()
        if self.temperature is not None:
            _check_numbers("output.temperature", self.temperature)
            _check_range("output.temperature", self.temperature, TEMPERATURE_RANGE)
        if self.abstention_threshold is not None:
            _check_numbers("output.abstention_threshold", self.abstention_threshold)
            if not 0 <= self.abstention_threshold <= 1:
                raise _invalid("output.abstention_threshold", self.abstention_threshold, "0..1")
        _check_choice("output.abstention_score", self.abstention_score, get_args(AbstentionScore))
        _check_quantization("output", self.dtype, self.scale, self.zero_point)

    @property
    def is_independent(self) -> bool:
        """Whether any number of labels may hold."""
        return self.kind == "independent-probabilities"

    def _check_label_threshold(self) -> None:
        threshold = self.label_threshold
        if not self.is_independent:
            if threshold is not None:
                raise _invalid("output.label_threshold", threshold, f"null for {self.kind}")
            return
        if threshold is not None:
            _check_numbers("output.label_threshold", threshold)
            if not 0 < threshold <= 1:
                raise _invalid("output.label_threshold", threshold, "above 0, up to 1")
        for name in ("temperature", "abstention_threshold"):
            if getattr(self, name) is not None:
                raise _invalid(f"output.{name}", getattr(self, name), f"null for {self.kind}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything needed to feed a model and to read its answer.

    Attributes:
        input: how an image becomes the model's input tensor.
        output: how its output tensor becomes scores.
        labels: what the scores stand for, in their order.

    Example:
        >>> from cifar_runtime import open_artefact
        >>> contract = open_artefact("edge-s-int8.tflite").contract
        >>> contract.input.shape, contract.input.dtype, contract.output.kind
        ((32, 32, 3), 'int8', 'logits')
    """

    input: InputContract
    output: OutputContract
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise _invalid("labels", self.labels, "two or more different names")
        if len(self.labels) > MAX_LABELS:
            raise _invalid("labels", self.labels, f"at most {MAX_LABELS}")
        for label in self.labels:
            if not is_plain_name(label):
                raise _invalid(
                    "labels",
                    label,
                    "names of 1 to 200 characters without line breaks or control characters",
                )

    def to_json(self) -> dict[str, Any]:
        """The contract as JSON-ready data."""
        document = asdict(self) | {"input": self.input.to_json()}
        if self.output.label_threshold is None:
            del document["output"]["label_threshold"]  # the bytes of all others stay what they were
        return document


def pixel_contract(
    shape: tuple[int, int, int],
    resize_filter: ResizeFilter,
    resize: Resize = "centre-crop",
    jpeg_decoding: JpegDecoding = "full",
) -> InputContract:
    """The contract of a float32 input of raw pixels 0..255.

    Args:
        shape: (height, width, channels).
        resize_filter: how pictures are brought to that size.
        resize: how they get its aspect ratio.
        jpeg_decoding: how JPEGs are decoded.
    """
    return InputContract(
        shape=shape,
        dtype="float32",
        multiplier=1.0,
        offset=0.0,
        scale=None,
        zero_point=None,
        resize_filter=resize_filter,
        colour_order=COLOUR_ORDERS.get(shape[2], "RGB"),
        resize=resize,
        jpeg_decoding=jpeg_decoding,
    )


def contract_from_json(document: Mapping[str, Any]) -> Contract:
    """The contract that ``to_json`` wrote.

    Raises:
        ArtefactError: a field is missing, unknown, or of the wrong kind.
    """
    try:
        shape = tuple(document["input"]["shape"])
        order = COLOUR_ORDERS.get(shape[2], "RGB") if len(shape) == 3 else "RGB"
        return Contract(
            input=InputContract(**{"colour_order": order, **document["input"], "shape": shape}),
            output=OutputContract(**document["output"]),
            labels=_labels_from_json(document["labels"]),
        )
    except (KeyError, TypeError, OverflowError) as error:
        raise ArtefactError(
            f"the contract is incomplete or has an unknown field: {reason_of(error)}.",
            hint="Export the model again with cifar-export.",
        ) from error


def _check_quantization(name: str, dtype: str, scale: float | None, zero_point: int | None) -> None:
    if dtype not in get_args(TensorType):
        raise _invalid(f"{name}.dtype", dtype, f"one of {get_args(TensorType)}")
    if dtype == "float32":
        if scale is not None or zero_point is not None:
            raise _invalid(f"{name}.scale", scale, "null, since float32 is not quantized")
    elif scale is None or zero_point is None or not scale > 0:
        raise _invalid(
            f"{name}.scale",
            scale,
            f"a number above zero with a zero_point, since {dtype} is quantized",
        )
    else:
        _check_numbers(f"{name}.scale", scale)
        _check_range(f"{name}.scale", scale, SCALE_RANGE)
        lowest, highest = (-128, 127) if dtype == "int8" else (0, 255)
        if type(zero_point) is not int or not lowest <= zero_point <= highest:
            raise _invalid(f"{name}.zero_point", zero_point, f"a whole number {lowest}..{highest}")


def _check_choice(field: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise _invalid(field, value, f"one of {choices}")


def _check_numbers(field: str, *numbers: float) -> None:
    for number in numbers:
        if isinstance(number, bool) or not math.isfinite(number):
            raise _invalid(field, number, "a finite number")


def _check_range(field: str, number: float, limits: tuple[float, float]) -> None:
    if not number > 0:
        raise _invalid(field, number, "a number above zero")
    lowest, highest = limits
    if not lowest <= number <= highest:
        raise _invalid(field, number, f"{lowest:g} to {highest:g}")


def is_plain_name(name: str) -> bool:
    """Whether a label or a model's name is 1 to ``MAX_LABEL_LENGTH`` characters that can be shown as they are.

    Control characters, line breaks, marks that turn the reading direction, and halves of surrogate pairs cannot.
    """
    if not name.strip() or len(name) > MAX_LABEL_LENGTH:
        return False
    if name.isprintable():
        return True
    import unicodedata

    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return not any(
        character in turning or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        for character in name
    )


def _labels_from_json(labels: object) -> tuple[str, ...]:
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise _invalid("labels", labels, "a list of names")
    return tuple(labels)


def _invalid(field: str, value: object, expected: str) -> ArtefactError:
    return ArtefactError(
        f"the contract's {field} is {shortened(repr(value))}, expected {expected}.",
        hint="Export the model again with cifar-export.",
    )
