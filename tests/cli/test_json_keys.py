"""With --json every command prints one object, with at least the keys that programs rely on."""

from dataclasses import fields

import numpy as np

from pairdex.cli.commands import COMMANDS
from pairdex.demo.demo import DemoReport
from pairdex.demo.pictures import draw_pictures
from pairdex.encoders.export.export import ExportReport
from pairdex.encoders.fetch_model import ModelFetchReport

ROWS, DIM = 60, 64  # pictures; the dimension of the demo model

# Each command with its arguments, in the order in which they can run in one folder, and its keys.
CALLS = {
    "releases": ("", "releases"),
    "encode": ("pictures parts --model demo --part-rows 20", "rows failed model dim"),
    "fetch": ("PARTS fetched", "files bytes verified"),
    "build": ("parts c", "rows rows_read dropped parts dim seconds"),
    "photos": ("pictures p --no-serve", "rows added removed unchanged failed url"),
    "info": ("c", "rows dim vectors columns parts indexes projections"),
    "verify": ("c", "damaged"),
    "model set": ("c demo --force", "model dim"),
    "model verify": ("c --sample 8", "agreement verdict"),
    "score": ("c --aesthetic head.npz", "rows columns"),
    "index": ("c --kind lists", "rows bytes seconds recall qps kind"),
    "search": ("c --text dog", "hits exact seconds"),
    "sql": ("c COUNT", "rows seconds"),
    "subset": ("c half --where id<30", "rows"),
    "remove": ("c --where id=3 --reason takedown", "removed"),
    "shard": ("half 2 --out sharded", "shards"),
    "dedup": ("c unique", "rows"),
    "pairs": ("c --within 0.1 --out pairs.parquet", "pairs rows seconds"),
    "graph": ("c --out graph.h5 -k 3", "rows k recall exact seconds"),
    "project": ("c pca8 --ceiling", "rows dim explained_variance recall_ceiling"),
    "queries": ("c --out q.h5 -n 5", "n k ties near_duplicates certified seconds"),
    "gold": ("c q.h5 --out g.h5 -k 10", "n k ties near_duplicates certified seconds"),
    "bench": ("c q.h5 --gold g.h5 --repeat 1 --out results", "runs"),
    "evaluate": ("results g.h5", "runs"),
    "export": ("c tables --format parquet", "rows files"),
    "push": ("c PUBLISHED", "files bytes verified"),
    "pull": ("PUBLISHED again", "files bytes verified"),
    "clickhouse load": ("c --path table", "rows seconds"),
    "clickhouse search": ("c --like 5 --path table", "hits seconds"),
    "clickhouse udf": ("functions", "files"),
    "atlas": ("c", "rows seconds"),
}
WITHOUT = {"serve", "clickhouse report"}  # runs until it is stopped; needs an index of ClickHouse
REPORTS = {  # of commands that take long, or need weights
    "demo": (DemoReport, "rows queries seconds"),
    "model export": (ExportReport, "model dim files"),
    "model fetch": (ModelFetchReport, "model dim files bytes"),
}
HIT = {"id", "distance", "similarity", "url", "caption"}
RUN = {"recall", "k", "qps", "buildtime"}


def test_every_command_prints_the_keys_of_the_contract(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    draw_pictures(tmp_path / "pictures", count=ROWS)
    np.savez("head.npz", weight=np.ones((1, DIM)), bias=np.zeros(1))
    words = {
        "COUNT": "SELECT count(*) FROM pairs",
        "PARTS": (tmp_path / "parts").as_uri(),
        "PUBLISHED": (tmp_path / "published").as_uri(),
    }
    missing, found = {}, {}
    for command, (arguments, keys) in CALLS.items():
        given = [words.get(word, word) for word in arguments.split()]
        ended = run(*command.split(), *given, "--json")
        assert ended.status == 0, (command, ended.err)
        assert ended.out.count("\n") == 1, command
        found[command] = ended.json
        missing[command] = set(keys.split()) - set(ended.json)
    assert not any(missing.values()), {name: keys for name, keys in missing.items() if keys}
    assert set(found["search"]["hits"][0]) >= HIT
    assert all(set(one) >= RUN for one in found["bench"]["runs"] + found["evaluate"]["runs"])


def test_every_command_is_in_the_contract():
    assert {entry.name for entry in COMMANDS} == {*CALLS, *REPORTS, *WITHOUT}
    for command, (report, keys) in REPORTS.items():
        assert set(keys.split()) <= {field.name for field in fields(report)}, command
