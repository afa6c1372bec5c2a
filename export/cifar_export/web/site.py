"""Writes a static site that classifies in the visitor's browser: pages, model, card, engine, licences.

It takes an artefact that exists; it converts nothing and never runs the model: the page replays the golden vectors
itself. The same artefact gives the same bytes. Everything comes from ``pages`` and from pinned npm packages, and the
site asks no other host for anything.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path
from urllib.parse import quote

from cifar_export.web.engines import Engine, EngineChoice, engine_of_format
from cifar_export.web.npm import engine_files
from cifar_runtime.artefact import Artefact, open_artefact, refuse_independent
from cifar_runtime.errors import ArtefactError, InputError, UsageError, not_one_of
from cifar_runtime.golden import golden_from_card
from cifar_runtime.system.files import write_atomically

_VERSION_DIGITS = 16
_URL_SAFE = "/!'()*"  # what encodeURIComponent leaves as it is, as quote would not; and the slash
_LICENCE_NAMES = {
    "Apache-2.0.txt": "Apache-2.0",
    "onnxruntime-web.txt": "onnxruntime-web (MIT)",
    "pillow.txt": "Pillow's resize (MIT-CMU)",
}
# A browser tries what it has a table for; LiteRT.js 2.5 has none for int8 ends.
_LITERT_ENDS = ("float32", "uint8")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """One file of a site: its path in the folder, its size, its SHA-256 in hexadecimal."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReport:
    """What was written.

    Attributes:
        folder: where; ``index.html`` is in it.
        model: the artefact's name.
        engine: the npm package that runs it, and its version.
        files: every file, in the order of their paths.
    """

    folder: Path
    model: str
    engine: tuple[str, str]
    files: tuple[SiteFile, ...]

    @property
    def size_bytes(self) -> int:
        """All files together; a visitor is sent one variant of the engine."""
        return sum(file.size_bytes for file in self.files)


def write_site(
    model: str | Path,
    folder: str | Path,
    *,
    engine: EngineChoice = "auto",
    force: bool = False,
    cache: Path | None = None,
) -> SiteReport:
    """Writes the site of an artefact.

    Args:
        model: an ``.onnx``, or a ``.tflite`` with float32 or uint8 ends, with its card beside it.
        folder: becomes the site; its files are replaced only with ``force``, and what this site lacks stays.
        engine: what runs the model; ``auto``: the one for its format.
        force: write into a folder that holds something else than nothing.
        cache: where npm archives are kept; None: in the user's cache folder.

    Raises:
        ArtefactError: the model cannot be used, or no browser engine takes it.
        InputError: the folder is in use, or the engine can be neither found nor fetched.
        MissingDependencyError: the engine has to be fetched, and npm is not installed.
        UsageError: the engine does not run this format.
    """
    artefact = open_artefact(Path(model))
    refuse_independent(artefact)
    chosen = _checked_engine(artefact, engine)
    target = Path(folder)
    _check_folder(target, force=force)
    contents = site_contents(artefact, chosen, engine_files(chosen, cache))
    for path, data in contents.items():
        write_atomically(target / path, data)
    return SiteReport(
        folder=target,
        model=artefact.name,
        engine=(chosen.name, chosen.version),
        files=tuple(_site_file(path, data) for path, data in contents.items()),
    )


def site_contents(
    artefact: Artefact, engine: Engine, engine_data: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The files of a site, by their paths, in the order of these.

    Args:
        artefact: the model and its card.
        engine: what runs it.
        engine_data: the engine's files, by their paths in ``engine/``.
    """
    licences = ("Apache-2.0.txt", "pillow.txt", engine.licence_file)
    pages = _page_files()
    contents = {
        "index.html": _index(artefact, engine, pages["index.html"].decode()).encode(),
        "card.json": (json.dumps(artefact.card, indent=2, ensure_ascii=False) + "\n").encode(),
        f"model/{_model_file(artefact)}": artefact.data,
        **{f"engine/{path}": data for path, data in engine_data.items()},
        **{f"licences/{name}": pages[f"licences/{name}"] for name in licences},
        **{
            path: data
            for path, data in pages.items()
            if path.startswith("app/") or path in ("style.css", "icon.svg")
        },
    }
    contents["service-worker.js"] = _service_worker(pages["service-worker.js"], contents)
    return dict(sorted(contents.items()))


def _checked_engine(artefact: Artefact, choice: EngineChoice) -> Engine:
    engine = engine_of_format(artefact.format)
    if choice not in ("auto", engine.name):
        raise UsageError(
            f"engine {not_one_of(choice, ('auto', engine.name))}, which run a .{artefact.format}.",
            hint=f"Leave the engine out: {engine.name} runs {artefact.path.name}.",
        )
    golden_from_card(artefact.card)  # the page answers only once it has replayed them
    contract = artefact.contract
    if contract.input.colour_order != "RGB":
        raise ArtefactError(
            f"{artefact.path}: takes {contract.input.colour_order} pictures of {contract.input.shape[2]} channels, "
            "expected RGB, which the page reads.",
            hint="Export a model of RGB pictures, or classify with cifar-classify.",
        )
    ends = {contract.input.dtype, contract.output.dtype}
    if engine.format == "tflite" and not ends <= set(_LITERT_ENDS):
        raise ArtefactError(
            f"{artefact.path}: takes {contract.input.dtype} and gives {contract.output.dtype}, and LiteRT.js "
            f"{engine.version} runs models with {' or '.join(_LITERT_ENDS)} ends.",
            hint="Export it with --quantize int8-float-io or int8-uint8-io, or as .onnx.",
        )
    return engine


def _model_file(artefact: Artefact) -> str:
    """The model's file name, which the page takes from the card."""
    name = artefact.card["model"].get("file")
    if not isinstance(name, str) or not name.strip(".") or set(name) & set("/\\\0"):
        raise ArtefactError(
            f"{artefact.path}: its card calls the file {name!r}, expected a plain file name.",
            hint="Run cifar-export again.",
        )
    return name


def _check_folder(folder: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder.", hint="Name another one.")
    if not force and folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"{folder}: is not empty, expected a new or an empty folder.",
            hint="Name another one, or replace its files with --force.",
        )


def _index(artefact: Artefact, engine: Engine, template: str) -> str:
    import_map = _import_map(engine)
    values = {
        "policy": html.escape(_policy(import_map), quote=True),
        "name": html.escape(artefact.name),
        "label_count": str(len(artefact.contract.labels)),
        "engine": html.escape(engine.name),
        "engine_version": engine.version,
        "licences": _licence_links(engine),
        "import_map": f'<script type="importmap">{import_map}</script>\n' if import_map else "",
    }
    for name, value in values.items():
        template = template.replace(f"{{{{{name}}}}}", value)
    return template


def _policy(import_map: str) -> str:
    """The Content-Security-Policy: this site's own files, WebAssembly, and the one inline import map by its digest."""
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    inline = f" 'sha256-{digest}'" if import_map else ""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'wasm-unsafe-eval'{inline}",
            "style-src 'self'",
            "img-src 'self' blob:",
            "connect-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _import_map(engine: Engine) -> str:
    return json.dumps({"imports": dict(engine.imports)}) if engine.imports else ""


def _licence_links(engine: Engine) -> str:
    names = dict.fromkeys(("Apache-2.0.txt", engine.licence_file, "pillow.txt"))
    return ", ".join(
        f'<a href="licences/{name}">{html.escape(_LICENCE_NAMES[name])}</a>' for name in names
    )


def _service_worker(source: bytes, contents: Mapping[str, bytes]) -> bytes:
    """The worker, with the list of what it keeps; its version is the digest of every file."""
    paths = sorted(contents)
    digest = hashlib.sha256(source)
    for path in paths:
        digest.update(f"{path}\0".encode() + hashlib.sha256(contents[path]).digest())
    core = ["./" if path == "index.html" else path for path in paths if _in_every_visit(path)]
    site = {
        "version": digest.hexdigest()[:_VERSION_DIGITS],
        "core": [quote(path, safe=_URL_SAFE) for path in core],
        "all": ["./", *(quote(path, safe=_URL_SAFE) for path in paths)],
    }
    return f"self.SITE = {json.dumps(site)};\n".encode() + source


def _in_every_visit(path: str) -> bool:
    # Of the engine, a browser loads the variant that it can run; the page says which.
    return not path.startswith("engine/")


def _site_file(path: str, data: bytes) -> SiteFile:
    return SiteFile(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _page_files() -> dict[str, bytes]:
    return dict(_files_under(package_files("cifar_export.web") / "pages", ""))


def _files_under(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found.extend(_files_under(entry, f"{prefix}{entry.name}/"))
        else:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found
