"""What anybody may read without a key: the API's document, its page, and the lists of carriers."""

from collections.abc import Callable, Mapping
from functools import cache

import msgspec
from aiohttp import web

from parcelwire.api.docs import POLICY, docs_page
from parcelwire.flows.context import Context
from parcelwire.wire.carrierlist import as_csv, as_json
from parcelwire.wire.openapi import document

JSON = "application/json"
HEADERS = {"X-Content-Type-Options": "nosniff"}


class Pages:
    """GET (and HEAD) of a few paths; each body is made once, the lists again when one was imported."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lists: dict[str, tuple[int, bytes]] = {}
        self._pages: Mapping[str, Callable[[], web.Response]] = {
            "/openapi.json": lambda: _response(_document(), JSON),
            "/docs": lambda: _response(_docs(), "text/html", {"Content-Security-Policy": POLICY}),
            "/apicarrier.all.json": lambda: _response(self._list("json", as_json), JSON),
            "/apicarrier.all.csv": lambda: _response(self._list("csv", as_csv), "text/csv"),
        }

    def page(self, method: str, path: str) -> web.Response | None:
        """The page at a path, if there is one."""
        page = self._pages.get(path.removesuffix("/")) if method in ("GET", "HEAD") else None
        return page() if page else None

    def _list(self, kind: str, write: Callable[..., bytes]) -> bytes:
        directory = self._context.directory
        made, body = self._lists.get(kind, (-1, b""))
        if made != directory.revision:
            body = write(directory.listed(self._context.book))
            self._lists[kind] = directory.revision, body
        return body


@cache
def _document() -> bytes:
    return msgspec.json.encode(document())


@cache
def _docs() -> bytes:
    return docs_page(document()).encode()


def _response(body: bytes, media: str, more: Mapping[str, str] | None = None) -> web.Response:
    charset = None if media == JSON else "utf-8"
    return web.Response(body=body, content_type=media, charset=charset, headers=HEADERS | dict(more or {}))
