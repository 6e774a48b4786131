"""`pairdex info`: what a collection is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pairdex
from pairdex.cli.index import rebuild_advice
from pairdex.cli.options import CollectionArgument, JsonOption
from pairdex.cli.output import print_json, print_lines
from pairdex.parts.model_record import shown_model
from pairdex.wording import size

if TYPE_CHECKING:
    from pairdex.derived.info import CollectionInfo
    from pairdex.derived.kind import DerivedInfo, Heading

EXAMPLES = ("pairdex info my-collection", "pairdex info my-collection --json")

# What the JSON leaves out of derived data, under the headings that it has.
_UNLISTED: dict[Heading, frozenset[str]] = {
    "indexes": frozenset({"name", "rows", "title"}),
    "scores": frozenset({"kind", "bytes", "title"}),
    "projections": frozenset({"title"}),
    "atlas": frozenset({"kind", "name", "title"}),
}


# What it means that data is out of date, and what to do.
_OUTDATED: dict[Heading, str] = {
    "indexes": "searches do not use it; pairdex index {collection} makes it again",
    "look-ups": "it lacks new rows; the next search that needs it adds them, or pairdex index {collection}",
    "scores": "new rows have no value; pairdex score {collection} with the same head adds them",
    "projections": "searches do not use it; pairdex project {collection} {name} makes it again",
    "atlas": "the page does not show it; pairdex atlas {collection} makes it again",
}


def command(
    collection: CollectionArgument,
    as_json: JsonOption = False,
) -> None:
    """Show what a collection holds and where it came from."""
    facts = pairdex.info(collection)
    if as_json:
        print_json(_as_json(facts))
    else:
        notes = enumerate(_advice(facts, collection), 1)
        print_lines(_for_people(facts) | {f"note {number}": note for number, note in notes})


def _as_json(facts: CollectionInfo) -> dict[str, Any]:
    content = asdict(facts)
    del content["derived"]
    if not facts.removed:
        del content["removed"]
    if not facts.shards:
        del content["shards"]
    listed = {heading: _entries(facts, heading) for heading in _UNLISTED}
    return content | listed | {"atlas": next(iter(listed["atlas"]), None)}


def _entries(facts: CollectionInfo, heading: Heading) -> list[dict[str, Any]]:
    entries = []
    for one in facts.under(heading):
        entry = asdict(one)
        entry |= entry.pop("details")
        entries.append({key: entry[key] for key in entry if key not in _UNLISTED[heading]})
    return entries


def _for_people(facts: CollectionInfo) -> dict[str, object]:
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in facts.dropped.items() if n)
    model, derived = facts.model, {}
    for heading in ("indexes", "look-ups", "scores", "projections", "atlas"):
        derived[heading] = ", ".join(map(_in_words, facts.under(heading))) or "none"
    return {
        "name": facts.name,
        "rows": facts.rows,
        **({"removed": facts.removed} if facts.removed else {}),
        "made of": _made_of(facts),
        "dropped": dropped or "none",
        "vectors": f"{' and '.join(facts.vectors)}, {facts.dim} dimensions, float16",
        "metric": facts.metric,
        "model": shown_model(model) if model else "not known",
        "columns": ", ".join(facts.columns),
        "parts": len(facts.parts),
        **({"shards": len(facts.shards)} if facts.shards else {}),
        **derived,
        "NSFW rule": facts.filter.nsfw,
        "filter": facts.filter.where or "none",
        "size": size(facts.bytes),
        "made by": facts.created_by,
    }


def _made_of(facts: CollectionInfo) -> str:
    origin = facts.origin
    if origin is None:
        return "parts"
    rule = ", ".join(f"{name} {value}" for name, value in origin.rule.items())
    return f"{origin.collection} ({origin.checksum[:12]}), {rule}"


def _in_words(one: DerivedInfo) -> str:
    return one.title if one.current else f"{one.title} (out of date)"


def _advice(facts: CollectionInfo, collection: object) -> list[str]:
    """Return what each outdated piece of derived data means, and what to do."""
    grown = [one for one in facts.under("indexes") if one.details.get("rebuild")]
    return [f"{one.title}: {rebuild_advice(one.name)}" for one in grown] + [
        f"{one.title}: {meaning.format(collection=collection, name=one.name)}"
        for heading, meaning in _OUTDATED.items()
        for one in facts.under(heading)
        if not one.current
    ]
