"""How much worse than its baseline a report may be. It imports nothing slow: the command line makes it before numpy."""

from dataclasses import asdict, dataclass

from cifar_runtime.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionLimits:
    """How much worse a model may become.

    Attributes:
        max_slowdown: largest allowed increase of the median latency, as a share of the old one.
        max_accuracy_drop: largest allowed fall of the accuracy, as a share: 0.005 is half a point.

    Example:
        >>> from cifar_bench import RegressionLimits
        >>> RegressionLimits(max_slowdown=0.05).max_accuracy_drop
        0.005
    """

    max_slowdown: float = 0.1
    max_accuracy_drop: float = 0.005

    def __post_init__(self) -> None:
        for name, share in asdict(self).items():
            if not 0 <= share <= 1:
                raise UsageError(f"{name} is {share}, expected a share, 0..1.", hint="10 % is 0.1.")
