"""`pairdex info`: what a collection is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args

from pairdex.cli.options import CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines, size
from pairdex.derived.atlas.files import has_atlas
from pairdex.derived.atlas.files import read_record as read_atlas
from pairdex.derived.codes import codes_path, find_codes
from pairdex.derived.index import find_index, ivf_path
from pairdex.derived.projections.files import find_projections, folder_of, read_record
from pairdex.store.scores import read_scores
from pairdex.store.store import Kind, Store

EXAMPLES = ("pairdex info my-collection", "pairdex info my-collection --json")


def command(
    collection: CollectionArgument,
    as_json: JsonOption = False,
) -> None:
    """Show what a collection holds and where it came from."""
    store = Store(collection)
    facts = _facts(store) | {
        "columns": store.schema.names,
        "indexes": _indexes(store),
        "scores": _scores(store),
        "projections": _projections(store),
        "atlas": _atlas(store),
    }
    if as_json:
        print_json(facts)
    else:
        print_lines(_for_people(facts))


def _facts(store: Store) -> dict[str, Any]:
    manifest, rows = store.manifest, store.live_rows
    removed = {"removed": store.rows - rows} if rows < store.rows else {}
    return {
        "name": manifest.name,
        "rows": rows,
        **removed,
        "rows_read": manifest.rows_read,
        "dropped": manifest.dropped,
        "dim": manifest.dim,
        "vectors": manifest.vectors,
        "columns": manifest.column_names,
        "parts": [
            {"number": part.number, "rows": part.rows, "rows_read": part.rows_read}
            for part in manifest.parts
        ],
        "model": manifest.model,
        "filter": {"nsfw": manifest.filter.nsfw, "where": manifest.filter.where},
        "origin": None if manifest.origin is None else asdict(manifest.origin),
        "bytes": sum(file.bytes for file in manifest.files()),
        "created_by": manifest.created_by,
    }


def _indexes(store: Store) -> list[dict[str, Any]]:
    """List the codes and the approximate indexes there are, and whether they are of the vectors as they are now."""
    codes = [
        {
            "on": on,
            "kind": "codes",
            "bytes": codes_path(store.path, on).stat().st_size,
            "current": find_codes(store, on) is not None,
        }
        for on in get_args(Kind)
        if codes_path(store.path, on).exists()
    ]
    return codes + [_index(store, on) for on in get_args(Kind) if ivf_path(store.path, on).exists()]


def _index(store: Store, on: Kind) -> dict[str, Any]:
    path = ivf_path(store.path, on)
    facts = {"on": on, "kind": "ivf", "bytes": path.stat().st_size}
    found = find_index(store, on)
    if found is None:
        return facts | {"current": False}
    index, points = found
    return facts | {
        "current": True,
        "nlist": index.file.header.nlist,
        "asked": points.recall,
        "on_disk": points.on_disk,
    }


def _scores(store: Store) -> list[dict[str, Any]]:
    """List the columns that heads have filled, and how many rows have a value."""
    return [
        {
            "name": note.name,
            "rows": (rows := note.scored_rows(store.manifest)),
            "current": rows == store.rows,
            "head": note.head,
        }
        for note in read_scores(store.path)
    ]


def _projections(store: Store) -> list[dict[str, Any]]:
    """List the projections there are, and whether they are of the vectors as they are now."""
    records = [read_record(folder_of(store.path, name)) for name in find_projections(store)]
    return [
        {
            "name": record.name,
            "kind": record.kind,
            "method": record.method,
            "dim": record.dim,
            "rows": record.rows,
            "bytes": sum(file.bytes for file in record.files),
            "current": record.is_current(store),
        }
        for record in records
    ]


def _atlas(store: Store) -> dict[str, Any] | None:
    """Return what the page's map is of, and whether it is of the vectors as they are now."""
    if not has_atlas(store.path):
        return None
    record = read_atlas(store.path)
    return {
        "on": record.on,
        "points": record.points,
        "seed": record.seed,
        "rows": record.rows,
        "regions": len(record.regions),
        "bytes": sum(file.bytes for file in record.files.values()),
        "current": record.is_current(store),
    }


def _for_people(facts: dict[str, Any]) -> dict[str, object]:
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in facts["dropped"].items() if n)
    model, origin = facts["model"], facts["origin"]
    made_of = "released parts"
    if origin is not None:
        rule = ", ".join(f"{name} {value}" for name, value in origin["rule"].items())
        made_of = f"{origin['collection']} ({origin['checksum'][:12]}), {rule}"
    return {
        "name": facts["name"],
        "rows": facts["rows"],
        **({"removed": facts["removed"]} if "removed" in facts else {}),
        "made of": made_of,
        "dropped": dropped or "none",
        "vectors": f"{' and '.join(facts['vectors'])}, {facts['dim']} dimensions, float16",
        "model": f"{model['name']} ({model['checksum'][:12]})" if model else "not known",
        "columns": ", ".join(facts["columns"]),
        "parts": len(facts["parts"]),
        "indexes": ", ".join(f"{i['kind']} of {i['on']} vectors" for i in facts["indexes"])
        or "none",
        "scores": ", ".join(
            one["name"] + ("" if one["current"] else f" (of {one['rows']:,} rows)")
            for one in facts["scores"]
        )
        or "none",
        "projections": ", ".join(map(_projection, facts["projections"])) or "none",
        "atlas": _atlas_in_words(facts["atlas"]),
        "NSFW rule": facts["filter"]["nsfw"],
        "filter": facts["filter"]["where"] or "none",
        "size": size(facts["bytes"]),
        "made by": facts["created_by"],
    }


def _projection(facts: dict[str, Any]) -> str:
    return facts["name"] if facts["current"] else f"{facts['name']} (of {facts['rows']:,} rows)"


def _atlas_in_words(facts: dict[str, Any] | None) -> str:
    if facts is None:
        return "none"
    of_fewer = "" if facts["current"] else f", of {facts['rows']:,} rows as they were"
    return f"{facts['points']:,} points{of_fewer}"
