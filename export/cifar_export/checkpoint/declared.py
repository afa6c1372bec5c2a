"""What the user states of a checkpoint that it cannot tell itself: input mapping, resize filter, labels, confidence."""

from dataclasses import dataclass

from cifar_data.labelled_images import TABLE_FORM, check_any_number
from cifar_eval.formatting import counted
from cifar_eval.models.input_mapping import INPUT_MAPPINGS, RAW_PIXELS, InputMapping
from cifar_export.checkpoint.io_layers import output_kind_of
from cifar_export.checkpoint.open import Checkpoint
from cifar_export.recipe import ExportRecipe
from cifar_runtime.contract import (
    AbstentionScore,
    InputContract,
    JpegDecoding,
    OutputContract,
    Resize,
    ResizeFilter,
    ScoreKind,
    pixel_contract,
)
from cifar_runtime.errors import ArtefactError, UsageError
from cifar_runtime.user_contract import completed_contract, wrong_contract

_DEFAULT_FILTER: ResizeFilter = "bicubic"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredContract:
    """What holds of the checkpoint as it was given.

    Attributes:
        mapping: what it takes for a pixel.
        resize_filter: how pictures are scaled to its input's size.
        resize: how they get its aspect ratio.
        jpeg_decoding: how JPEGs are decoded.
        labels: a name for each score; None where no contract states them.
        kind: what it returns; None where nothing states it.
        temperature: see :class:`cifar_runtime.contract.OutputContract`.
        abstention_threshold: likewise.
        abstention_score: likewise.
        label_threshold: likewise.
    """

    mapping: InputMapping
    resize_filter: ResizeFilter
    resize: Resize = "centre-crop"
    jpeg_decoding: JpegDecoding = "full"
    labels: tuple[str, ...] | None = None
    kind: ScoreKind | None = None
    temperature: float | None = None
    abstention_threshold: float | None = None
    abstention_score: AbstentionScore = "probability"
    label_threshold: float | None = None

    def pixels(self, shape: tuple[int, int, int]) -> InputContract:
        """The contract of a float32 input of raw pixels, shape (height, width, channels)."""
        return pixel_contract(shape, self.resize_filter, self.resize, self.jpeg_decoding)


def declared_contract(recipe: ExportRecipe, checkpoint: Checkpoint) -> DeclaredContract:
    """What the recipe's contract states of the checkpoint, or else its other fields and their defaults.

    Raises:
        ArtefactError: the contract cannot be read, or is not one of this checkpoint.
        UsageError: it is neither a built-in name nor a .json file, or states what the export is to fit.
    """
    if recipe.source.contract is None:
        return DeclaredContract(
            mapping=INPUT_MAPPINGS[recipe.source.input_range or "0..255"],
            resize_filter=recipe.source.resize_filter or _DEFAULT_FILTER,
            resize=recipe.source.resize or "centre-crop",
            jpeg_decoding=recipe.source.jpeg_decoding or "full",
            label_threshold=recipe.source.label_threshold,
        )
    plain = {"dtype": "float32", "scale": None, "zero_point": None}
    contract = completed_contract(
        recipe.source.contract,
        checkpoint.path,
        input_facts={
            **plain,
            "shape": checkpoint.image_shape,
            "resize_filter": _DEFAULT_FILTER,
        },
        output_facts={**plain, "kind": output_kind_of(checkpoint.model)},
    )
    image, scores = contract.input, contract.output
    _refuse_two_confidences(recipe, scores)
    found = (checkpoint.image_shape, checkpoint.num_classes, "float32", "float32")
    stated = (image.shape, len(contract.labels), image.dtype, scores.dtype)
    names = ("input.shape", "number of labels", "input.dtype", "output.dtype")
    for name, fact, claim in zip(names, found, stated, strict=True):
        if fact != claim:
            raise wrong_contract(
                recipe.source.contract,
                f"does not fit {checkpoint.path.name}: its {name} is {claim}, expected {fact}",
            )
    return DeclaredContract(
        mapping=InputMapping(multiplier=image.multiplier, offset=image.offset),
        resize_filter=image.resize_filter,
        resize=image.resize,
        jpeg_decoding=image.jpeg_decoding,
        labels=contract.labels,
        kind=scores.kind,
        temperature=scores.temperature,
        abstention_threshold=scores.abstention_threshold,
        abstention_score=scores.abstention_score,
        label_threshold=scores.label_threshold,
    )


def takes(checkpoint: Checkpoint, mapping: InputMapping) -> bool:
    """Whether the checkpoint can be fed so: a value for each of three channels needs three, and fractions floats."""
    is_of_three = isinstance(mapping.multiplier, tuple) or isinstance(mapping.offset, tuple)
    if "float" not in checkpoint.model.inputs[0].dtype:
        return mapping == RAW_PIXELS
    return checkpoint.image_shape[2] == 3 or not (is_of_three or mapping.is_bgr)


def check_mapping(recipe: ExportRecipe, checkpoint: Checkpoint, declared: DeclaredContract) -> None:
    """Checks that the checkpoint can be fed as was stated.

    Raises:
        UsageError: it cannot.
    """
    if takes(checkpoint, declared.mapping):
        return
    stated = recipe.source.contract or f"--input-range {recipe.source.input_range}"
    raise UsageError(
        f"{stated}: {checkpoint.path.name} takes {checkpoint.model.inputs[0].dtype} pictures of "
        f"{counted(checkpoint.image_shape[2], 'channel')}, which cannot be fed so.",
        hint="Leave the range out: 0..255 is what such a model takes."
        if "float" not in checkpoint.model.inputs[0].dtype
        else "State 0..255, 0..1 or -1..1: the others are of three channels.",
    )


def refuse_for_kind(recipe: ExportRecipe, checkpoint: Checkpoint, kind: ScoreKind) -> None:
    """Checks that what was asked for can be had of scores of this kind, before anything is scored.

    Raises:
        InputError: any number of labels may hold, and the images come in class folders.
        UsageError: so it is, and there are no images, or an option is of models of classes; or one label holds, and an
            option is of the others.
    """
    name, source = checkpoint.path.name, recipe.source
    if kind != "independent-probabilities":
        if source.label_threshold is not None:
            raise UsageError(
                f"--label-threshold {source.label_threshold:g}: {name} gives {kind} of classes of which one holds.",
                hint="Leave it out; logits of labels of which any number may hold take --output-kind "
                "independent-probabilities.",
            )
        return
    of_classes = {
        "--qat": recipe.qat,
        "--confidence": recipe.confidence,
        "--robustness": recipe.robustness,
        "--repair": recipe.repair,
        f"--format {','.join(recipe.publish.deliveries)}": recipe.publish.deliveries or None,
    }
    for flag in (flag for flag, value in of_classes.items() if value is not None):
        raise UsageError(
            f"{flag}: is of models of classes of which one holds, but {name} gives independent probabilities of "
            "labels of which any number may.",
            hint=f"Leave {flag} out.",
        )
    if recipe.evaluation.data is None:
        raise UsageError(
            f"{checkpoint.path}: gives independent probabilities of labels of which any number may hold, and no images "
            "say which do.",
            hint=f"Give --eval-data FILE.csv: {TABLE_FORM}. If one label holds, end the model in a softmax.",
        )
    check_any_number(recipe.evaluation.data)


def check_kind(recipe: ExportRecipe, statement: DeclaredContract, *, found: ScoreKind) -> None:
    """Checks a stated kind of scores against what the checkpoint really gave.

    Args:
        recipe: names the contract.
        statement: what that states.
        found: what the scores of real images are.

    Raises:
        ArtefactError: they differ, and the recipe does not ask for a conversion.
    """
    if recipe.source.output_kind is None and statement.kind not in (None, found):
        raise ArtefactError(
            f"{recipe.source.contract}: states {statement.kind}, but the checkpoint gives {found}.",
            hint="State what it gives, and convert it by --output-kind.",
        )


def _refuse_two_confidences(recipe: ExportRecipe, stated: OutputContract) -> None:
    states_one = (
        stated.temperature is not None
        or stated.abstention_threshold is not None
        or stated.abstention_score != "probability"
    )
    if recipe.confidence is not None and states_one:
        raise UsageError(
            f"{recipe.source.contract}: states a temperature or an abstention threshold, "
            "and --confidence would fit both.",
            hint="Leave --confidence out, or these two out of the contract.",
        )
