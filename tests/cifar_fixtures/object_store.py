"""An object store of one bucket on this machine: as much of S3 as listing, reading and writing whole objects takes.

Source: Amazon S3 API reference: ListObjectsV2, GetObject, HeadObject, and multipart uploads, here of one part.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_BEGUN = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
_ENDED = b"<CompleteMultipartUploadResult><ETag>any</ETag></CompleteMultipartUploadResult>"
_LISTED = (
    "<ListBucketResult><KeyCount>{}</KeyCount><IsTruncated>false</IsTruncated>{}</ListBucketResult>"
)
_ENTRY = "<Contents><Key>{}</Key><Size>{}</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    objects: dict[str, bytes]
    uploaded: bytes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        data = self.server.objects.get(self._key())
        if data is None and "/" in self._key():  # a bucket alone is there
            self._answer(404)
        else:
            self._answer(200, data or b"")

    def do_GET(self) -> None:
        if "list-type" in self._query():
            self._list()
            return
        data = self.server.objects[self._key()]
        wanted = re.match(r"bytes=(\d+)-(\d+)", self.headers["Range"] or "")
        if wanted is None:
            self._answer(200, data)
            return
        first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        self._answer(206, data[first : last + 1], f"bytes {first}-{last}/{len(data)}")

    def do_PUT(self) -> None:
        parts = list(self._chunks())
        signed = "aws-chunked" in (self.headers["Content-Encoding"] or "")
        self.server.uploaded = _unpacked(b"".join(parts)) if signed else b"".join(parts)
        self._answer(200)

    def do_POST(self) -> None:
        """Begins an upload, or ends it: not before then is the object there."""
        list(self._chunks())
        if "uploads" in self.path:
            self._answer(200, _BEGUN)
            return
        self.server.objects[self._key()] = self.server.uploaded
        self._answer(200, _ENDED)

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).strip("/")

    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    def _list(self) -> None:
        prefix = f"{self._key()}/{self._query().get('prefix', [''])[0]}"
        found = {
            name.partition("/")[2]: len(data)
            for name, data in self.server.objects.items()
            if name.startswith(prefix)
        }
        entries = [_ENTRY.format(escape(key), size) for key, size in sorted(found.items())]
        self._answer(200, _LISTED.format(len(found), "".join(entries)).encode())

    def _chunks(self) -> Iterator[bytes]:
        if self.headers["Content-Length"] is not None:
            yield self.rfile.read(int(self.headers["Content-Length"]))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, data: bytes = b"", place: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"any"')
        if place is not None:
            self.send_header("Content-Range", place)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def object_store(objects: dict[str, bytes]) -> Iterator[str]:
    """The options of a URI that reach the store; ``objects``, by ``bucket/key``, are what it holds, then and later."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.objects = objects
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=here"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _unpacked(data: bytes) -> bytes:
    """What stands in the chunks of an upload with a checksum at its end."""
    whole = b""
    while data:
        line, _, data = data.partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        whole, data = whole + data[:size], data[size + 2 :]
    return whole
