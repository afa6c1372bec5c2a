"""The engines that run models in a browser: which npm packages they are, pinned, and what a site takes of them."""

from dataclasses import dataclass
from typing import Literal

from cifar_runtime.formats.known_formats import ModelFormat

EngineName = Literal["onnxruntime-web", "@litertjs/core"]
EngineChoice = Literal["auto", "onnxruntime-web", "@litertjs/core"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmPackage:
    """One npm package at one version.

    Attributes:
        name: as ``npm pack`` takes it.
        version: the one that was tried.
        integrity: SHA-512 of its archive in base64, as npm publishes it.
        files: path inside the archive's ``package/`` -> path inside the site's ``engine/``.
    """

    name: str
    version: str
    integrity: str
    files: tuple[tuple[str, str], ...]

    @property
    def specification(self) -> str:
        """What ``npm pack`` is asked for."""
        return f"{self.name}@{self.version}"

    @property
    def archive_name(self) -> str:
        """The file that ``npm pack`` writes."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine as a site holds it.

    Attributes:
        name: of its main package.
        format: the model files that it runs.
        packages: what it is made of, the main one first.
        licence_file: the text in ``pages/licences``; no package brings its own.
        imports: bare module names that its files import -> paths in the site, for the page's import map.
    """

    name: EngineName
    format: ModelFormat
    packages: tuple[NpmPackage, ...]
    licence_file: str
    imports: tuple[tuple[str, str], ...] = ()

    @property
    def version(self) -> str:
        """The version of the main package."""
        return self.packages[0].version


_ONNXRUNTIME_WEB = Engine(
    name="onnxruntime-web",
    format="onnx",
    licence_file="onnxruntime-web.txt",
    packages=(
        NpmPackage(
            name="onnxruntime-web",
            version="1.30.0",
            integrity="q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
            files=(
                ("dist/ort.wasm.bundle.min.mjs", "ort.wasm.bundle.min.mjs"),
                ("dist/ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.wasm"),
            ),
        ),
    ),
)
_LITERT = Engine(
    name="@litertjs/core",
    format="tflite",
    licence_file="Apache-2.0.txt",
    packages=(
        NpmPackage(
            name="@litertjs/core",
            version="2.5.3",
            integrity="PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
            files=(
                ("dist/index.js", "litert.js"),
                # Safari has no relaxed SIMD: it takes the second pair.
                ("wasm/litert_wasm_internal.js", "litert_wasm_internal.js"),
                ("wasm/litert_wasm_internal.wasm", "litert_wasm_internal.wasm"),
                ("wasm/litert_wasm_compat_internal.js", "litert_wasm_compat_internal.js"),
                ("wasm/litert_wasm_compat_internal.wasm", "litert_wasm_compat_internal.wasm"),
            ),
        ),
        NpmPackage(
            name="@litertjs/wasm-utils",
            version="2.5.3",
            integrity="4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
            files=(("dist/index.js", "litert-wasm-utils.js"),),
        ),
    ),
    imports=(("@litertjs/wasm-utils", "./engine/litert-wasm-utils.js"),),
)
ENGINES = (_ONNXRUNTIME_WEB, _LITERT)


def engine_of_format(model_format: ModelFormat) -> Engine:
    """The engine that runs a model format in a browser."""
    return next(engine for engine in ENGINES if engine.format == model_format)
