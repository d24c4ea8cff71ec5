"""A directory served over HTTP the way S3 does, as far as reading goes: list, head, get with a range."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"


class Handler(BaseHTTPRequestHandler):
    """Answers ListObjectsV2, HeadObject, HeadBucket and GetObject."""

    root: Path
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        """Says nothing."""

    def do_HEAD(self):
        self._object(with_content=False)

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._listing(prefix=query.get("prefix", [""])[0], delimiter=query.get("delimiter", [""])[0])
        else:
            self._object(with_content=True)

    def _listing(self, *, prefix, delimiter):
        keys = sorted(
            path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()
        )
        found, folders = [], set()
        for key in (key for key in keys if key.startswith(prefix)):
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                found.append(key)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{(self.root / key).stat().st_size}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in found
        )
        prefixes = "".join(
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            for folder in sorted(folders)
        )
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{contents}{prefixes}</ListBucketResult>"
        ).encode()
        self._answer(200, body, {"Content-Type": "application/xml"})

    def _object(self, *, with_content):
        key = unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}").strip("/")
        file = self.root / key
        if not key:
            self._answer(200, b"", {"x-amz-bucket-region": "us-east-1"})
            return
        if not file.is_file():
            self._answer(404, b"", {})
            return
        content, code = file.read_bytes(), 200
        headers = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "ETag": '"1"', "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, code = content[int(first) : int(last) + 1], 206
        if with_content:
            self._answer(code, content, headers)
        else:
            self._answer(code, b"", headers | {"Content-Length": str(len(content))})

    def _answer(self, code, body, headers):
        self.send_response(code)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def served(root, handler=Handler):
    """Yields the URI of a bucket that holds a directory's files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (handler,), {"root": root}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        port = server.server_address[1]
        options = f"endpoint_override=127.0.0.1:{port}&scheme=http&allow_bucket_creation=false"
        yield f"s3://user:secret@{BUCKET}?{options}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
