"""A folder where the page's JavaScript is tested, sites of the shipped model, and a real Chromium over them."""

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cifar_export.web
from cifar_export.web.engines import ENGINES
from cifar_export.web.npm import engine_files
from cifar_export.web.site import write_site
from cifar_runtime.classifier import default_model
from cifar_runtime.errors import InputError, MissingDependencyError

HERE = Path(__file__).parent
PAGES = Path(cifar_export.web.__file__).parent / "pages"
NODE = shutil.which("node")
NPM = shutil.which("npm")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
SHIPPED = default_model("onnx")


Browse = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, their unit tests and the tools' settings in one folder."""
    if NODE is None:
        pytest.skip("node is not installed: the page's JavaScript is not tested")
    folder = tmp_path_factory.mktemp("javascript")
    shutil.copytree(PAGES, folder / "pages")
    shutil.copytree(HERE / "unit", folder / "unit")
    shutil.copytree(HERE / "tools", folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def tools(workspace: Path) -> Path:
    """The same folder with the pinned tools in it, as their lock file's digests say."""
    if NPM is None:
        pytest.skip("npm is not installed: the page is neither linted nor driven in a browser")
    command = [NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    ended = subprocess.run(
        command, cwd=workspace, check=False, capture_output=True, text=True, timeout=600
    )
    if ended.returncode != 0:
        pytest.skip(f"npm could not fetch the page's checks: {ended.stderr.strip()[:200]}")
    return workspace


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the shipped model, in a folder below the server's root."""
    folder = tmp_path_factory.mktemp("served") / "below" / "site"
    try:
        engine_files(ENGINES[0])
    except (InputError, MissingDependencyError) as error:
        pytest.skip(f"the browser's engine cannot be had: {error.message[:200]}")
    write_site(SHIPPED, folder)
    return folder


@pytest.fixture(scope="session")
def browse(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Opens a site in a fresh Chromium that reaches nothing else."""
    if BROWSER is None:
        pytest.skip("chromium is not installed: the page is not opened")

    def run(site: Path, scenario: str, **task: Any) -> dict[str, Any]:
        profile = tmp_path_factory.mktemp("profile")
        with _served(site.parent) as origin:
            asked = {"url": f"{origin}/{site.name}/", "browser": BROWSER, "profile": str(profile)}
            ended = subprocess.run(
                [str(NODE), "browse.mjs", scenario],
                cwd=tools,
                check=False,
                input=json.dumps({**asked, **task}),
                capture_output=True,
                text=True,
                timeout=900,
            )
        assert ended.returncode == 0, ended.stderr
        seen: dict[str, Any] = json.loads(ended.stdout)
        assert seen["hosts"] == [origin], "the page asked another host"
        return seen

    return run


class _served:  # noqa: N801  # reads as a verb where it is used
    """A plain file server on a free port of localhost, while the block runs; gives its origin."""

    def __init__(self, root: Path) -> None:
        handler = functools.partial(_Quiet, directory=str(root))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://localhost:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass
