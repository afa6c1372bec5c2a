"""What is timed besides warm inference of one image: starting, batches, whole processes, pictures, energy.

Raw samples as data, and what follows from them; :mod:`cifar_bench.measure.worker` takes them.
"""

from dataclasses import dataclass
from typing import Any

from cifar_eval.intervals import percentile
from cifar_runtime.documents import to_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """A fresh process that opens the model and runs it once.

    Attributes:
        import_ns: nanoseconds to import the runtime.
        load_ns: nanoseconds to read, check and open the model, the runtime being imported.
        first_inference_ns: nanoseconds of the very first inference.
        peak_rss_bytes: the most memory that the process held until then; None where unknown.
    """

    import_ns: int
    load_ns: int
    first_inference_ns: int
    peak_rss_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Whole batches, handed to the session at once.

    Attributes:
        batch_size: images in one call.
        threads: threads the call may use; None where the runtime decides by itself.
        samples_ns: one duration per call, nanoseconds.
    """

    batch_size: int
    threads: int | None
    samples_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.samples_ns or min(self.samples_ns) <= 0 or self.batch_size < 1:
            raise ValueError(f"throughput of {len(self.samples_ns)} samples, or one not above zero")

    @property
    def median_ns(self) -> int:
        """The typical call, nanoseconds."""
        return percentile(self.samples_ns, 50)

    @property
    def images_per_s(self) -> float:
        """Images in one second, from the typical call."""
        return self.batch_size / self.median_ns * 1e9

    def to_json(self) -> dict[str, Any]:
        """The samples, and what follows from them, as JSON-ready data."""
        return to_document(self, "median_ns", "images_per_s", before="samples_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """Whole runs of ``cifar-classify`` on one picture, from starting Python to the answer.

    Attributes:
        samples_ns: one duration per process, nanoseconds.
    """

    samples_ns: tuple[int, ...]

    @property
    def median_ns(self) -> int:
        """The typical process, nanoseconds."""
        return percentile(self.samples_ns, 50)

    def to_json(self) -> dict[str, Any]:
        """The samples, and what follows from them, as JSON-ready data."""
        return to_document(self, "median_ns", before="samples_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """From the bytes of a PNG picture to the input tensor: decoding, resizing, mapping the values.

    Attributes:
        picture_size: (width, height) of the picture in pixels.
        samples_ns: one duration per picture, nanoseconds.
    """

    picture_size: tuple[int, int]
    samples_ns: tuple[int, ...]

    @property
    def median_ns(self) -> int:
        """The typical picture, nanoseconds."""
        return percentile(self.samples_ns, 50)

    def to_json(self) -> dict[str, Any]:
        """The samples, and what follows from them, as JSON-ready data."""
        return to_document(self, "median_ns", before="samples_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What the processor package drew while one model ran without a pause.

    It counts everything the package did meanwhile, other programs included.

    Attributes:
        microjoules: energy over the whole stretch.
        inferences: inferences in it.
        duration_ns: how long it lasted, nanoseconds.
    """

    microjoules: int
    inferences: int
    duration_ns: int

    @property
    def joules_per_inference(self) -> float:
        """Energy of one inference, joules."""
        return self.microjoules / 1e6 / self.inferences

    def to_json(self) -> dict[str, Any]:
        """The energy, and what follows from it, as JSON-ready data."""
        return to_document(self, "joules_per_inference")
