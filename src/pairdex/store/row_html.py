"""How rows look in a notebook: a grid of small pictures, or one row with its columns.

Metadata is untrusted: every text is escaped, and only http and https addresses become links.
Pictures are local files, decoded and encoded again. Nothing is fetched.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from pairdex.errors import PairdexError
from pairdex.store.pictures import picture_path
from pairdex.store.row_name import row_name
from pairdex.store.sharded import open_store
from pairdex.wording import counted

__all__ = ["MAX_CARDS", "Pictures", "Row", "grid", "load_ipython_extension", "table_html"]

MAX_CARDS = 24  # rows of a grid: three screens' worth
MAX_PICTURE_BYTES = 1_000_000  # of all pictures in one output, before base64: notebooks stay small
MAX_TEXT = 200  # characters of a value
MAX_TABLE_ROWS, MAX_TABLE_COLUMNS = 20, 30
_TILE, _LARGE = 160, 320  # pixels

_CARD = (
    f"width:{_TILE}px;margin:0;padding:6px;border:1px solid rgba(128,128,128,.35);border-radius:6px;"
    "font-size:12px;line-height:1.35;overflow-wrap:anywhere"
)
_PICTURE = "display:block;max-width:100%;margin:0 0 4px"
_GREY = "opacity:.7"


class Pictures:
    """The local pictures of a collection as data URIs, while their total size is within a limit."""

    def __init__(self, collection: Path | None) -> None:
        self._left = MAX_PICTURE_BYTES
        try:
            self._store = None if collection is None else open_store(collection)
        except PairdexError:  # the rows are shown without pictures
            self._store = None

    def uri(self, row: Mapping[str, Any], side: int) -> str | None:
        """Return the thumbnail of a row; None if the row was removed or has no readable picture."""
        from pairdex.encoders.thumbnail import thumbnail  # noqa: PLC0415 - Pillow loads slowly

        if self._store is None or not isinstance(row.get("image_path"), str):
            return None
        try:
            taken = self._store.take([row["id"]], ["image_path"])
            path = picture_path(self._store.part_of(row["id"]), taken["image_path"][0].as_py())
            small = None if path is None else thumbnail(path, side)
        except PairdexError:
            return None
        if small is None or len(small.data) > self._left:
            return None
        self._left -= len(small.data)
        return f"data:{small.media_type};base64,{b64encode(small.data).decode()}"


class Row(dict[str, Any]):
    """A row as a dictionary that a notebook shows with its picture."""

    def __init__(self, values: Mapping[str, Any], collection: Path | None = None) -> None:
        super().__init__(values)
        self._collection = collection

    def _repr_html_(self) -> str:
        """Return the picture and the columns of the row."""
        uri = Pictures(self._collection).uri(self, _LARGE)
        lines = "".join(
            f'<tr><th style="text-align:left">{_text(name)}</th>'
            f'<td style="text-align:left">{_value(value)}</td></tr>'
            for name, value in self.items()
        )
        return f"<div>{_image(uri)}<table>{lines}</table></div>"


def grid(rows: Iterable[Mapping[str, Any]], pictures: Pictures, *, title: str) -> str:
    """Return rows, at most `MAX_CARDS`, as a grid of cards below a title."""
    cards = "".join(_card(row, pictures) for row in rows)
    return (
        f'<div><div style="{_GREY};margin:0 0 6px">{escape(title)}</div>'
        f'<div style="display:flex;flex-wrap:wrap;gap:8px">{cards}</div></div>'
    )


def table_html(table: pa.Table) -> str:
    """Return the first rows and columns of a table, escaped."""
    names = table.column_names[:MAX_TABLE_COLUMNS]
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    shown = table.select(list(range(len(names)))).slice(0, MAX_TABLE_ROWS)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_value(value)}</td>" for value in values) + "</tr>"
        for values in zip(*(column.to_pylist() for column in shown.columns), strict=True)
    )
    size = f"{counted(len(table), 'row')}, {counted(table.num_columns, 'column')}"
    if len(shown) < len(table) or len(names) < table.num_columns:
        size += f"; {len(shown)} rows and {len(names)} columns shown"
    return (
        f"<div><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
        f'<div style="{_GREY}">{size}</div></div>'
    )


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - an InteractiveShell of IPython
    """Show Arrow tables as tables in a notebook, after `%load_ext pairdex`."""
    shell.display_formatter.formatters["text/html"].for_type(pa.Table, table_html)


def _card(row: Mapping[str, Any], pictures: Pictures) -> str:
    facts = [f"id {row['id']}"]
    if isinstance(row.get("similarity"), float) and "distance" in row:
        facts.append(f"{row['similarity']:.3f}")
    name, url = row_name(row), row.get("url")
    below = f"<div>{_text(name)}</div>" if name else ""
    if isinstance(url, str) and url:
        below += f"<div>{_link(url)}</div>"
    image = _image(pictures.uri(row, _TILE))
    facts_line = f'<div style="{_GREY}">{_text(" · ".join(facts))}</div>'
    return f'<figure style="{_CARD}">{image}<figcaption>{facts_line}{below}</figcaption></figure>'


def _image(uri: str | None) -> str:
    return "" if uri is None else f'<img src="{escape(uri)}" alt="" style="{_PICTURE}">'


def _value(value: object) -> str:
    """Return a value of a column: an address as a link, anything else as text."""
    if isinstance(value, str) and _host(value) is not None:
        return _link(value, whole=True)
    return "" if value is None else _text(value)


def _link(url: str, *, whole: bool = False) -> str:
    host = _host(url)
    if host is None:
        return _text(url)
    shown = _text(url if whole else host)
    return f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer nofollow">{shown}</a>'


def _host(url: str) -> str | None:
    """Return the host of an http or https address; None for anything else."""
    if not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        return None


def _text(value: object) -> str:
    """Return a value as escaped text: one line, shortened, isolated from the text around it."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    text = "".join(each if each.isprintable() else " " for each in text[: MAX_TEXT + 1])
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT] + "…"
    return f"<bdi>{escape(text)}</bdi>"
