"""Every reader of files that others may have written or broken, each with a small whole file of its kind.

    python -m tests.campaigns.readers NAME FOLDER SEED ROUNDS

reads that many damaged copies and prints what ended otherwise than in an answer or one line, as JSON.
"""

import faulthandler
import json
import resource
import shutil
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.campaigns.damage import damaged, forged

import pairdex
from pairdex.curate.id_files import read_ids, read_ids_of, read_urls
from pairdex.derived.atlas import files as atlas
from pairdex.derived.codes import codes_path
from pairdex.derived.graph import graph_path
from pairdex.derived.index import ivf_path
from pairdex.derived.projections.files import open_projection
from pairdex.derived.projections.models import Fit, model_bytes, read_model
from pairdex.derived.projections.pca import fit_pca
from pairdex.downloads.contents import check_contents
from pairdex.downloads.record import Record
from pairdex.errors import PairdexError
from pairdex.evaluation.results import read_result
from pairdex.files import checksums, sealed_json
from pairdex.files.neighbour_files import read_facts, read_neighbours
from pairdex.files.query_files import read_query_set
from pairdex.files.vectors import open_vectors
from pairdex.ivf.efforts import points_path
from pairdex.knn.codes import verify_codes
from pairdex.parts.bundle import open_bundle
from pairdex.parts.note import read_note
from pairdex.parts.tsv import read_tsv
from pairdex.reference.read_gold import read_gold
from pairdex.store.scores import ScoredPart, ScoreNote, read_score, write_score
from pairdex.store.store import Store

ROWS, DIM = 40, 8
MEMORY_BYTES = 4 << 30  # above what the process has: what a file only claims is more
SLOW_SECONDS = 20.0
VECTORS = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float16)
IDS = np.arange(ROWS)


def save_npy(path):
    np.save(path, VECTORS)


def save_npz(compression):
    def save(path):
        with (
            zipfile.ZipFile(path, "w", compression) as archive,
            archive.open("emb.npy", "w") as file,
        ):
            np.save(file, VECTORS)

    return save


def save_h5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("emb", data=VECTORS, chunks=(7, DIM), compression="gzip")
        file["kind"] = ["image"] * ROWS
        file.attrs["algo"] = "none"


def save_gold(path):
    with h5py.File(path, "w") as file:
        file["knns"] = np.tile(np.arange(1, 5, dtype=np.int32), (ROWS, 1))
        file["dists"] = np.tile(np.linspace(0, 1, 4, dtype=np.float32), (ROWS, 1))
        file.attrs["querytime"] = 1.5
        file.attrs["algo"] = "none"


def save_ids(path):
    with h5py.File(path, "w") as file:
        file["ids"] = IDS
        file.attrs["collection_checksum"] = "00"


def save_fvecs(path):
    dims = np.full((ROWS, 1), DIM, "<i4")
    np.hstack([dims, VECTORS.astype("<f4").view("<i4")]).tofile(path)


def save_model(path):
    unit = VECTORS.astype(np.float32)
    model = fit_pca([unit / np.linalg.norm(unit, axis=1, keepdims=True)], 3)
    path.write_bytes(model_bytes(model, Fit(ROWS, "00")))


def save_organisers(path):
    with h5py.File(path, "w") as file:
        file["refs"] = np.ones((1024, DIM), np.float32)
        file["pool"] = (
            (np.random.default_rng(1).permutation(1024) + 1).astype(np.int32).reshape(16, 64)
        )


def save_table(path):
    columns = {"URL": [f"http://e.org/{i}" for i in IDS], "TEXT": [f"row {i}" for i in IDS]}
    pq.write_table(pa.table(columns | {"width": IDS, "tags": [["a"]] * ROWS}), path)


def save_tsv(path):
    lines = [f"row {i}\tUNLIKELY\t?\thttp://e.org/{i}" for i in IDS]
    path.write_text("\n".join(["caption\tNSFW\tLICENSE\turl", *lines, ""]))


def save_lines(path):
    path.write_text("\n".join(["id", *map(str, IDS)]))


def read_vectors(path):
    member = "emb" if path.suffix == ".npz" else None
    list(open_vectors(path, member).blocks(16))


def read_bundle(path):
    list(open_bundle(path).blocks(16))


def read_part(path):
    """Build a collection of the file as metadata, with whole vectors beside it."""
    folder = path.parent / "parts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    np.save(folder / "img_emb_0.npy", VECTORS)
    shutil.copy(path, folder / "metadata_0.parquet")
    shutil.rmtree(path.parent / "built", ignore_errors=True)
    pairdex.build(folder, path.parent / "built", nsfw="none")


def read_part_vectors(path):
    folder = path.parent / "parts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(path, folder / "img_emb_0.npy")
    save_table(folder / "metadata_0.parquet")
    shutil.rmtree(path.parent / "built", ignore_errors=True)
    pairdex.build(folder, path.parent / "built", nsfw="none")


def check(path):
    check_contents(path, path.name)


def record_of(path):
    (path.parent / ".pairdex-fetched.json").write_bytes(path.read_bytes())
    Record(path.parent).find("a.bin")


def read_note_of_parts(path):
    read_note(path.parent)


def save_note_of_parts(path):
    model = {"name": "demo", "dim": DIM, "checksum": "00", "folder": None}
    path.write_text(json.dumps({"model": model, "pictures": "p", "linked": ["q"]}))


def save_record(path):
    known = {"bytes": 1, "mtime_ns": 2, "algorithm": "md5", "digest": "00"}
    content = {"format": "pairdex-fetched", "version": 1, "files": {"a.bin": known}}
    path.write_text(json.dumps(content))


FILES = {
    "queries.npy": (save_npy, read_query_set),
    "stored.npz": (save_npz(zipfile.ZIP_STORED), read_query_set),
    "deflated.npz": (save_npz(zipfile.ZIP_DEFLATED), read_query_set),
    "lzma.npz": (save_npz(zipfile.ZIP_LZMA), read_query_set),
    "bzip2.npz": (save_npz(zipfile.ZIP_BZIP2), read_query_set),
    "queries.h5": (save_h5, read_query_set),
    "queries.fvecs": (save_fvecs, read_query_set),
    "neighbours.h5": (save_gold, read_neighbours),
    "facts.h5": (save_gold, read_facts),
    "gold.h5": (save_gold, read_gold),
    "result.h5": (save_gold, lambda path: read_result(str(path), [])),
    "model.h5": (save_model, read_model),
    "organisers.h5": (save_organisers, read_model),
    "bundle.h5": (save_h5, read_bundle),
    "vectors.npy": (save_npy, read_vectors),
    "vectors.npz": (save_npz(zipfile.ZIP_LZMA), read_vectors),
    "ids.npy": (lambda path: np.save(path, IDS), read_ids),
    "ids.csv": (save_lines, read_ids),
    "ids.txt": (save_lines, read_urls),
    "ids.h5": (save_ids, lambda path: read_ids_of(None, path)),
    "metadata.parquet": (save_table, read_part),
    "img_emb.npy": (save_npy, read_part_vectors),
    "meta.tsv": (save_tsv, lambda path: list(read_tsv(path))),
    "whole.h5": (save_h5, check),
    "whole.npz": (save_npz(zipfile.ZIP_LZMA), check),
    "whole.npy": (save_npy, check),
    "whole.parquet": (save_table, check),
    "record.json": (save_record, record_of),
    "pairdex.json": (save_note_of_parts, read_note_of_parts),
}
"""A file's name; how it is made; what reads it."""

COLLECTION_FILES = ("collection.json", "removed.arrow", "metadata/00000.arrow", "image/00000.npy")


def collection_at(folder):
    """Make a small collection with a removed row, and return its folder."""
    parts = folder / "whole"
    parts.mkdir()
    np.save(parts / "img_emb_0.npy", VECTORS)
    save_table(parts / "metadata_0.parquet")
    pairdex.build(parts, folder / "collection", nsfw="none")
    pairdex.remove(folder / "collection", ids=[3], reason="asked to")
    return folder / "collection"


def use(collection):
    """Read all that a collection holds."""
    opened = pairdex.open(collection, use_codes=False)
    opened.nearest(np.ones((1, DIM), np.float32), k=3)
    opened.take([0, 5])
    opened.values([1])
    store = Store(collection)
    store.matching("width > 3")
    for _ in store.tables():
        pass


def of_a_file(name, folder, seed, rounds):
    make, read = FILES[name]
    path = folder / name
    make(path)
    data = path.read_bytes()
    read_or_refuse(read, path)
    for said, changed in damaged(data, seed, rounds):
        path.write_bytes(changed)
        yield said, read, path


def of_a_collection(name, folder, seed, rounds):
    collection = collection_at(folder)
    path = collection / name
    data = path.read_bytes()
    use(collection)
    for said, changed in damaged(data, seed, rounds):
        path.write_bytes(changed)
        yield said, use, collection


def with_projection(collection):
    pairdex.project(collection, "pca3")
    return collection / "projections" / "pca3" / "projection.json"


def with_atlas(collection):
    store = Store(collection)
    arrays = {"ids": IDS, "positions": np.zeros((ROWS, 2)), "places": IDS}
    (collection / "atlas").mkdir()
    files = {name: atlas.save_array(collection, name, array) for name, array in arrays.items()}
    source = store.manifest.vectors_checksum("image")
    facts = {"points": ROWS, "seed": 0, "rows": ROWS, "source": source, "drawn_from": "00"}
    record = atlas.Record(created_by="x", on="image", method={}, regions=[], files=files, **facts)
    atlas.write_record(collection, record)
    return collection / "atlas" / "atlas.json"


def with_score(collection):
    place = collection / "metadata" / "00000.arrow"
    source = Store(collection).manifest.parts[0].files["image"].checksum
    part = ScoredPart("metadata/00000.arrow", ROWS, place.stat().st_size, "00", source)
    (collection / "scores" / "odd").mkdir(parents=True)
    write_score(collection, ScoreNote("odd", "x", "image", {}, [part]))
    return collection / "scores" / "odd" / "score.json"


def with_codes(collection):
    pairdex.open(collection).nearest(np.ones((1, DIM), np.float32), k=3)
    return codes_path(collection, "image")


def with_index(collection):
    pairdex.index(collection)
    return ivf_path(collection, "image")


def with_graph(collection):
    pairdex.index(collection, kind="graph")
    return graph_path(collection, "image")


def with_words(collection):
    pairdex.open(collection).search(like=0, keywords="row", k=1)
    return collection / "indexes" / "keywords" / "00000"


def with_list(collection):
    pairdex.push(collection, f"file://{collection.parent}/published")
    return collection.parent / "published" / "published.json"


def use_list(collection):
    """Pull what is published; whatever the list says, nothing appears outside the copy."""
    copy, before = collection.parent / "copy", {*collection.parent.iterdir()}
    shutil.rmtree(copy, ignore_errors=True)
    try:
        pairdex.pull(f"file://{collection.parent}/published", copy)
    finally:
        assert {*collection.parent.iterdir()} - before <= {copy}


def use_codes(collection):
    verify_codes(codes_path(collection, "image"))
    pairdex.open(collection).nearest(np.ones((1, DIM), np.float32), k=3)


def use_index(collection):
    pairdex.open(collection).nearest(np.ones((1, DIM), np.float32), k=3, recall=0.9)
    pairdex.verify(collection)


def use_words(collection):
    pairdex.open(collection).search(like=0, keywords="row", k=1)
    pairdex.verify(collection)


def read_plain(path):
    return json.loads(path.read_bytes()), None


def write_plain(path, content, _):
    path.write_bytes(sealed_json.sealed(content))


def read_paged(path):
    """Read the JSON after a header of magic, version, length and checksum, and the pages after it."""
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    end = 48 + length
    return json.loads(data[48:end]), (data[:12], data[-(-end // 4096) * 4096 :])


def write_paged(path, content, kept):
    text = json.dumps(content).encode()
    head = kept[0] + len(text).to_bytes(4, "little") + checksums.of_bytes(text).encode() + text
    path.write_bytes(head.ljust(-(-len(head) // 4096) * 4096, b"\0") + kept[1])


def read_arrays(path):
    """Read the sealed JSON after a magic of 16 bytes and its length, and the arrays after it."""
    data = path.read_bytes()
    end = 24 + int.from_bytes(data[16:24], "little")
    return json.loads(data[24:end]), (data[:16], data[-(-end // 64) * 64 :])


def write_arrays(path, content, kept):
    text = sealed_json.sealed(content)
    head = kept[0] + len(text).to_bytes(8, "little") + text
    path.write_bytes(head.ljust(-(-len(head) // 64) * 64, b"\0") + kept[1])


PLAIN, PAGED, ARRAYS = (
    (read_plain, write_plain),
    (read_paged, write_paged),
    (read_arrays, write_arrays),
)
SEALED = {
    "forged manifest": (lambda collection: collection / "collection.json", use, PLAIN),
    "forged projection": (
        with_projection,
        lambda path: open_projection(Store(path), "pca3"),
        PLAIN,
    ),
    "forged atlas": (with_atlas, lambda path: atlas.open_atlas(Store(path)), PLAIN),
    "forged score": (with_score, lambda path: read_score(path, "odd"), PLAIN),
    "forged codes": (with_codes, use_codes, PAGED),
    "forged index": (with_index, use_index, PAGED),
    "forged points": (lambda collection: points_path(with_index(collection)), use_index, PLAIN),
    "forged graph": (with_graph, use_index, PAGED),
    "forged graph points": (
        lambda collection: points_path(with_graph(collection)),
        use_index,
        PLAIN,
    ),
    "forged words": (with_words, use_words, ARRAYS),
    "forged list": (with_list, use_list, PLAIN),
}
"""What is sealed; how a collection gets it; what reads it; how its seal is opened and set."""


def of_a_forged_file(name, folder, seed, rounds):
    """Change a value in a sealed file and seal it again."""
    make, read, (opened, write) = SEALED[name]
    collection = collection_at(folder)
    path = make(collection)
    content, kept = opened(path)
    content.pop("checksum", None)
    read(collection)
    for said, changed in forged(content, seed, rounds):
        write(path, changed, kept)
        yield said, read, collection


def cases(name, folder, seed, rounds):
    if name in FILES:
        return of_a_file(name, folder, seed, rounds)
    if name in SEALED:
        return of_a_forged_file(name, folder, seed, rounds)
    return of_a_collection(name, folder, seed, rounds)


def read_or_refuse(read, path):
    """Return what is wrong with how a reader ended; None if nothing is."""
    started = time.monotonic()
    try:
        read(path)
    except PairdexError as error:
        said = str(error)
        said.encode()
        if not said.isprintable() or len(said) > 2000:
            return f"not one line: {said[:300]!r}"
    except BaseException as error:  # noqa: BLE001 - whatever else leaves a reader is what is looked for
        return f"{type(error).__name__}: {str(error)[:300]}"
    seconds = time.monotonic() - started
    return f"{seconds:.0f} seconds" if seconds > SLOW_SECONDS else None


def main():
    name, folder, seed, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    faulthandler.enable()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found, count = [], 0
    for said, read, path in cases(name, folder, seed, rounds):
        count += 1
        sys.stderr.write(f"{said}\n")  # the last line names what ended the process
        wrong = read_or_refuse(read, path)
        if wrong:
            found.append(f"{said}: {wrong}")
    sys.stdout.write(json.dumps({"count": count, "found": found}))


if __name__ == "__main__":
    main()
