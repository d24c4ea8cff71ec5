"""An object store that is also written to, as S3 is: objects appear whole, none is renamed."""

import itertools
import shutil
import threading
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.unit.object_store import BUCKET, Handler

UPLOADS = itertools.count(1)
LOCK = threading.Lock()
XML = {"Content-Type": "application/xml"}


class WritableHandler(Handler):
    """Also answers PutObject, the three calls of a multipart upload, and DeleteObject.

    Attributes:
        refuses: answers every write with an error, as a store does that is out of quota.
    """

    parts: ClassVar[dict] = {}
    refuses = False

    def do_PUT(self):
        body = self._body()
        if self.headers.get("x-amz-decoded-content-length"):
            body = _without_chunks(body)
        query = parse_qs(urlsplit(self.path).query)
        if type(self).refuses:
            self._answer(403, b"<Error><Code>QuotaExceeded</Code></Error>", XML)
        elif "partNumber" in query:
            self.parts[query["uploadId"][0], int(query["partNumber"][0])] = body
            self._answer(200, b"", {"ETag": '"part"'})
        else:
            self._store(body)
            self._answer(200, b"", {"ETag": '"1"'})

    def do_POST(self):
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        self._body()
        if type(self).refuses:
            self._answer(403, b"<Error><Code>QuotaExceeded</Code></Error>", XML)
        elif "uploads" in query:
            upload = f"upload{next(UPLOADS)}"
            answer = f"<Bucket>{BUCKET}</Bucket><Key>k</Key><UploadId>{upload}</UploadId>"
            self._answer(200, _xml("InitiateMultipartUploadResult", answer), XML)
        else:
            upload = query["uploadId"][0]
            parts = sorted(key for key in self.parts if key[0] == upload)
            self._store(b"".join(self.parts.pop(key) for key in parts))
            self._answer(200, _xml("CompleteMultipartUploadResult", '<ETag>"1"</ETag>'), XML)

    def do_DELETE(self):
        file = self.root / self._key()
        if file.is_file():
            file.unlink()
        self._answer(204, b"", {})

    def _body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _store(self, content):
        key = self._key()
        if not key or self.path.partition("?")[0].endswith("/"):
            return  # a marker of a directory
        file = self.root / key
        with LOCK:
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_name(f".{file.name}.{threading.get_ident()}")
            unfinished.write_bytes(content)
            shutil.move(unfinished, file)

    def _key(self):
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}").strip("/")


def _without_chunks(body):
    """The content of a body in AWS's chunked signing form."""
    content = b""
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if size == 0:
            break
        content, body = content + rest[:size], rest[size + 2 :]
    return content


def _xml(name, content):
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{content}</{name}>'.encode()
