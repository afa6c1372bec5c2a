"""A written site: its files, what it may load, what is refused; without a browser and without a network."""

import base64
import hashlib
import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_export.web.engines import ENGINES, Engine, engine_of_format
from cifar_export.web.site import SiteReport, site_contents, write_site
from cifar_runtime.artefact import Artefact, open_artefact
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError, UsageError

ONNX = default_model("onnx")
ENGINE_DATA = {target: target.encode() for _, target in ENGINES[0].packages[0].files}
FAKE_NPM = """#!/bin/sh
echo "npm error code ENOTFOUND" >&2
echo "npm error network request failed" >&2
exit 1
"""


@pytest.fixture
def contents() -> dict[str, bytes]:
    return site_contents(open_artefact(ONNX), ENGINES[0], ENGINE_DATA)


def test_a_site_holds_pages_model_card_engine_and_licences(contents: dict[str, bytes]) -> None:
    scripts = {path for path in contents if path.startswith("app/")}
    assert set(contents) - scripts == {
        *("index.html", "style.css", "icon.svg", "service-worker.js", "card.json"),
        "model/edge-s-int8.onnx",
        *("engine/ort.wasm.bundle.min.mjs", "engine/ort-wasm-simd-threaded.wasm"),
        *("licences/Apache-2.0.txt", "licences/onnxruntime-web.txt", "licences/pillow.txt"),
    }
    assert contents["model/edge-s-int8.onnx"] == ONNX.read_bytes()
    assert json.loads(contents["card.json"]) == json.loads(
        ONNX.with_name(ONNX.name + ".json").read_text()
    )
    assert list(contents) == sorted(contents)


def test_every_module_that_a_module_imports_is_there(contents: dict[str, bytes]) -> None:
    imported = {
        (path, name)
        for path, data in contents.items()
        if path.startswith("app/")
        for name in re.findall(
            r"""(?:from|import\(|new URL\()\s*"\./([\w-]+\.js)\"""", data.decode()
        )
    }
    assert len(imported) > 20
    assert {name for _, name in imported} < {path.removeprefix("app/") for path in contents}


def test_the_pages_name_no_other_host(contents: dict[str, bytes]) -> None:
    pages = b"".join(
        data
        for path, data in contents.items()
        if path.startswith("app/") or path in ("index.html", "style.css", "service-worker.js")
    ).decode()
    assert re.findall(r"(?:https?:)?//(?=[\w.-]+\.[a-z])\S+", pages) == []


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.format)
def test_the_policy_allows_this_sites_files_and_its_one_import_map(engine: Engine) -> None:
    index = site_contents(open_artefact(ONNX), engine, {})["index.html"].decode()
    assert "{{" not in index
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]+)"', index)[0])
    maps = re.findall(r'<script type="importmap">(.*?)</script>', index)
    digests = [
        f" 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in maps
    ]
    assert len(maps) == (engine.format == "tflite")
    assert policy == (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{''.join(digests)}; style-src 'self'; "
        "img-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'"
    )
    assert re.findall(r"<script(?![^>]*(?:src=|importmap))|\son\w+=|\sstyle=", index) == []


def test_the_same_artefact_gives_the_same_bytes(contents: dict[str, bytes]) -> None:
    assert site_contents(open_artefact(ONNX), ENGINES[0], ENGINE_DATA) == contents


def test_the_service_worker_keeps_every_file_and_changes_with_any(
    contents: dict[str, bytes],
) -> None:
    site = service_worker_list(contents)
    assert set(site["all"]) == {"./", *contents} - {"service-worker.js"}
    assert set(site["core"]) == {
        "./" if path == "index.html" else path
        for path in contents
        if path != "service-worker.js" and not path.startswith("engine/")
    }
    other = site_contents(open_artefact(ONNX), ENGINES[0], {**ENGINE_DATA, "new.js": b""})
    assert service_worker_list(other)["version"] != site["version"]


def service_worker_list(contents: dict[str, bytes]) -> dict[str, list[str]]:
    first, rest = contents["service-worker.js"].decode().split(";\n", 1)
    assert rest.startswith("// @ts-check")
    found: dict[str, list[str]] = json.loads(first.removeprefix("self.SITE = "))
    return found


def test_a_name_from_the_card_is_text_on_the_page() -> None:
    index = site_contents(with_card(name="<script>alert(1)</script>"), ENGINES[0], {})[
        "index.html"
    ].decode()
    assert "<script>alert" not in index
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in index


def with_card(**changes: object) -> Artefact:
    artefact = open_artefact(ONNX)
    return replace(artefact, card={**artefact.card, **changes})


@pytest.mark.parametrize("name", ["../index.html", "a/b.onnx", "a\\b.onnx", "..", "", None])
def test_a_card_does_not_place_the_model_elsewhere(name: object) -> None:
    with pytest.raises(ArtefactError) as caught:
        site_contents(with_card(model={"file": name}), ENGINES[0], {})
    assert str(caught.value) == (
        f"{ONNX}: its card calls the file {name!r}, expected a plain file name. Run cifar-export again."
    )


def test_the_service_worker_names_files_as_the_page_asks_for_them() -> None:
    odd = site_contents(with_card(model={"file": "a b#(1)é.onnx"}), ENGINES[0], {})
    # encodeURIComponent("a b#(1)é.onnx") in JavaScript.
    assert "model/a%20b%23(1)%C3%A9.onnx" in service_worker_list(odd)["core"]


def test_int8_ends_are_no_model_for_litert(tmp_path: Path) -> None:
    model = default_model("tflite")
    with pytest.raises(ArtefactError) as caught:
        write_site(model, tmp_path / "site")
    assert str(caught.value) == (
        f"{model}: takes int8 and gives int8, and LiteRT.js 2.5.3 runs models with float32 or uint8 ends. "
        "Export it with --quantize int8-float-io or int8-uint8-io, or as .onnx."
    )
    assert not (tmp_path / "site").exists()


def test_an_engine_for_another_format_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write_site(ONNX, tmp_path, engine="@litertjs/core")
    assert str(caught.value) == (
        "engine '@litertjs/core' is not one of auto, onnxruntime-web, which run a .onnx. "
        "Leave the engine out: onnxruntime-web runs edge-s-int8.onnx."
    )


def test_a_folder_in_use_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(InputError) as caught:
        write_site(ONNX, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: is not empty, expected a new or an empty folder. "
        "Name another one, or replace its files with --force."
    )
    with pytest.raises(InputError, match="is a file, expected a folder"):
        write_site(ONNX, tmp_path / "index.html")
    assert (tmp_path / "index.html").read_text() == "mine"


def test_offline_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(FAKE_NPM)
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    cache = tmp_path / "cache"
    with pytest.raises(InputError) as caught:
        write_site(ONNX, tmp_path / "site", cache=cache)
    assert caught.value.exit_code == 3
    assert str(caught.value) == (
        "onnxruntime-web@1.30.0: npm could not fetch it: npm error code ENOTFOUND npm error network request "
        "failed. Connect to the network and try again; or run 'npm pack onnxruntime-web@1.30.0' elsewhere and "
        f"put onnxruntime-web-1.30.0.tgz into {cache}."
    )
    assert not (tmp_path / "site").exists()


def test_without_npm_the_archive_may_be_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingDependencyError) as caught:
        write_site(ONNX, tmp_path / "site", cache=tmp_path)
    assert str(caught.value) == (
        "onnxruntime-web@1.30.0 is needed for the page, and npm, which fetches it, is not installed. "
        f"Install Node.js, or put onnxruntime-web-1.30.0.tgz into {tmp_path}."
    )


def test_another_archive_of_that_name_is_refused(tmp_path: Path) -> None:
    stored = tmp_path / "onnxruntime-web-1.30.0.tgz"
    stored.write_bytes(b"something else")
    found = base64.b64encode(hashlib.sha512(b"something else").digest()).decode()
    with pytest.raises(InputError) as caught:
        write_site(ONNX, tmp_path / "site", cache=tmp_path)
    assert caught.value.message.startswith(f"{stored}: sha512 is {found}, expected q0y+")


def test_a_written_site_is_what_the_report_says(site: Path) -> None:
    report = write_site(ONNX, site, force=True)
    assert isinstance(report, SiteReport)
    assert (report.model, report.engine) == ("edge-s-int8", ("onnxruntime-web", "1.30.0"))
    assert {file.path: file.size_bytes for file in report.files} == {
        path.relative_to(site).as_posix(): path.stat().st_size
        for path in site.rglob("*")
        if path.is_file()
    }
    assert report.size_bytes == sum(file.size_bytes for file in report.files)


def test_engines_are_pinned_by_their_archives_digest() -> None:
    assert engine_of_format("onnx").name == "onnxruntime-web"
    for engine in ENGINES:
        for package in engine.packages:
            assert len(base64.b64decode(package.integrity)) == 64
            assert re.fullmatch(r"\d+\.\d+\.\d+", package.version)
