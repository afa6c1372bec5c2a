"""Takes the pictures of the web page that README and docs/web.md show: ``python -m cifar_maintain.web_picture``.

It serves the folder that ``make web`` writes, opens it in a headless Chromium over a pipe (the DevTools protocol),
gives it a sample picture, waits for the answer, and writes PNG files of few colours. It measures nothing.
"""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cifar_data.packaged import sample_images
from cifar_runtime.commands.parser import Parser, run_command
from cifar_runtime.errors import InputError, MissingDependencyError

_PROGRAM = "python -m cifar_maintain.web_picture"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
_SHOTS = {"web-desktop.png": ((1100, 690), "light"), "web-phone.png": ((400, 1090), "dark")}
_PATIENCE_S = 60.0
_COLOURS = 128
# Reads descriptor 3 and writes descriptor 4, one JSON message before each NUL.
# Source: chromium, content/public/common/content_switches.cc, --remote-debugging-pipe.
_COMMANDS, _ANSWERS = 3, 4


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run_command(_PROGRAM, _run, argv)


def _parse(argv: Sequence[str]) -> Any:
    parser = Parser(prog=_PROGRAM, description="Take README's pictures of the page in .web/.")
    parser.add_argument("--site", type=Path, default=Path(".web"), metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/pictures"), metavar="DIR")
    return parser.parse_args(argv)


def _run(argv: Sequence[str]) -> int:
    options = _parse(argv)
    if not (options.site / "index.html").is_file():
        raise InputError(f"{options.site}: holds no page.", hint="Run make web first.")
    picture = next(path for path in sample_images() if path.stem == "cat")
    with _served(options.site) as url, _Browser() as browser:
        for name, (size, scheme) in _SHOTS.items():
            page = browser.page(url, size=size, scheme=scheme)
            page.choose(picture)
            data = _few_colours(page.screenshot())
            (options.output / name).write_bytes(data)
            sys.stdout.write(f"{options.output / name}: {len(data):,} bytes\n")
    return 0


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


class _Browser:
    """A Chromium with an empty profile."""

    def __enter__(self) -> "_Browser":
        program = next(filter(None, map(shutil.which, _BROWSERS)), None)
        if program is None:
            raise MissingDependencyError(
                "the pictures need Chromium, which is not installed.",
                hint="Run: apt install chromium",
            )
        self._profile = tempfile.TemporaryDirectory(prefix="web-picture-")
        their_input, self._to = os.pipe()
        self._from, their_output = os.pipe()
        shell = f'exec "$@" {_COMMANDS}<&{their_input} {_ANSWERS}>&{their_output}'
        options = (f"--user-data-dir={self._profile.name}", "--remote-debugging-pipe")
        self._process = subprocess.Popen(  # noqa: S603 - the browser on our own page
            ["/bin/bash", "-c", shell, "bash", program, *_FLAGS, *options],
            pass_fds=(their_input, their_output),
            stderr=subprocess.DEVNULL,
        )
        os.close(their_input)
        os.close(their_output)
        self._number, self._held = 0, b""
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def ask(self, method: str, *, session: str | None = None, **parameters: Any) -> Any:
        """The result of one command of the DevTools protocol."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise InputError(f"{method}: {answer['error']['message']}.", hint="Try again.")
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise InputError("Chromium has ended.", hint="Start it by hand to see why.")
            self._held += part
        line, self._held = self._held.split(b"\0", 1)
        found: dict[str, Any] = json.loads(line)
        return found

    def page(self, url: str, *, size: tuple[int, int], scheme: str) -> "_Page":
        """A page in a window of that width and height, in light or dark."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        ask = partial(self.ask, session=attached["sessionId"])
        feature = {"name": "prefers-color-scheme", "value": scheme}
        ask("Emulation.setEmulatedMedia", features=[feature])
        metrics: dict[str, Any] = {"width": size[0], "height": size[1]}
        ask("Emulation.setDeviceMetricsOverride", **metrics, deviceScaleFactor=1, mobile=False)
        ask("Page.navigate", url=url)
        return _Page(ask)


class _Page:
    def __init__(self, ask: Any) -> None:
        self._ask = ask

    def choose(self, picture: Path) -> None:
        """Gives the page a picture, once it has opened its model, and waits for the answer."""
        self._wait("document.querySelector('#file')?.disabled === false")
        root = self._ask("DOM.getDocument")["root"]["nodeId"]
        node = self._ask("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        self._ask("DOM.setFileInputFiles", nodeId=node, files=[str(picture)])
        self._wait("document.querySelectorAll('#ranked li').length > 0")

    def screenshot(self) -> bytes:
        """What the window shows, as PNG."""
        shot = self._ask("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])

    def _wait(self, condition: str) -> None:
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            asked = self._ask("Runtime.evaluate", expression=f"Boolean({condition})")
            if asked["result"].get("value") is True:
                return
            time.sleep(0.1)
        raise InputError(f"the page did not come to: {condition}.", hint="Open it by hand.")


def _few_colours(data: bytes) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    few = Image.open(io.BytesIO(data)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
