"""What a candidate must hold."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cifar_runtime.errors import UsageError

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a candidate must hold; every figure is a share, 0.005 being half a percentage point.

    Attributes:
        max_accuracy_drop: largest allowed ``accuracy_drop``.
        min_agreement: smallest allowed ``agreement``.
        min_accuracy: smallest allowed accuracy of the candidate; None for no floor.

    Example:
        >>> from cifar_eval import Limits
        >>> Limits(min_accuracy=0.9).min_agreement
        0.97
    """

    max_accuracy_drop: float = 0.005
    min_agreement: float = 0.97
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        for name, share in asdict(self).items():
            if share is not None and not 0 <= share <= 1:
                raise UsageError(
                    f"{name} is {share}, expected a share, 0..1.", hint="Half a point is 0.005."
                )
