"""What is to be classified, with what and where, as data. It imports nothing slow: the command line makes it first."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecipe:
    """One run of cifar-batch.

    Attributes:
        source: a folder of pictures, or one or more Parquet files with them; a path here, or a URI such as ``s3://``.
        output: the folder of Parquet files that the results go into; made when missing, gone on with when not.
        model: the model file; None: the packaged one.
        contract: for a model without a card, a built-in contract's name or a JSON file.
        address: of a Ray cluster to join, such as ``auto`` or ``10.0.0.1:6379``; None: Ray is started here.
        workers: processes that classify; None: one a core.

    Example:
        >>> from cifar_batch import BatchRecipe
        >>> BatchRecipe(source="s3://bucket/photos", output="results.parquet").workers is None
        True
    """

    source: str
    output: str
    model: Path | None = None
    contract: str | None = None
    address: str | None = None
    workers: int | None = None
