"""Write ClickHouse functions that encode texts and pictures: configuration and scripts."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from pairdex.encoders.first_use import named_model
from pairdex.encoders.model import BUILT_IN
from pairdex.errors import InvalidArgument, MissingFile
from pairdex.files import atomic

__all__ = ["DEFAULT_POOL", "UdfReport", "write_functions"]

DEFAULT_POOL = 1  # processes of a function, each with the model in memory; ClickHouse's own is 16
_MAX_POOL = 64

_START_MILLISECONDS = 300_000  # a large model from a cold disk; ClickHouse's own is 10 s
_WAIT_SECONDS = 3_600  # for a free process

# Both names: chdb reads udf_config.xml of its udf_path, servers read *_function.xml.
_DESCRIPTIONS = ("udf_config.xml", "pairdex_function.xml")

_FUNCTION = """\
    <function>
        <type>executable_pool</type>
        <name>{name}</name>
        <return_type>Array(Float32)</return_type>
        <argument>
            <type>String</type>
            <name>{argument}</name>
        </argument>
        <format>RowBinary</format>
        <command>{command}</command>
        <send_chunk_header>1</send_chunk_header>
        <pool_size>{pool}</pool_size>
        <command_read_timeout>{milliseconds}</command_read_timeout>
        <command_write_timeout>{milliseconds}</command_write_timeout>
        <max_command_execution_time>{seconds}</max_command_execution_time>
        <deterministic>true</deterministic>
    </function>
"""

_PROGRAM = """\
#!/bin/sh
# {name}: written by pairdex clickhouse udf. Answers go to descriptor 3: libraries may print to 1.
export PYTHONSAFEPATH=1
exec {python} -m pairdex.clickhouse.udf_process {arguments} 3>&1 1>&2
"""


@dataclass(frozen=True)
class UdfReport:
    """The written functions, the dimension of their vectors, and the files."""

    functions: list[str]
    model: str
    dim: int
    files: list[str]


def write_functions(
    folder: str | Path,
    *,
    model: str | Path = BUILT_IN,
    pictures: str | Path | None = None,
    pool: int = DEFAULT_POOL,
) -> UdfReport:
    """Write `encode_text` and `encode_image` into a folder, for chdb's `udf_path` or for a server.

    Parameters
    ----------
    model
        The name or folder of the model that made the vectors.
    pictures
        `encode_image` reads only pictures in this folder; without it, any path.
    pool
        Largest number of processes of each function.

    Raises
    ------
    InvalidArgument, MissingFile, DamagedFile, WriteFailed
        The model or folder does not exist; the pool is out of range; the disk is full.
    """
    if not 1 <= pool <= _MAX_POOL:
        raise InvalidArgument(f"the pool is {pool:,}, expected 1 to {_MAX_POOL}", field="pool")
    loaded = named_model(model)
    place = BUILT_IN if model == BUILT_IN else str(loaded.folder.resolve())
    shown = [] if pictures is None else [str(Path(pictures).resolve())]
    if pictures is not None and not Path(pictures).is_dir():
        raise MissingFile(f"{pictures} is not a folder; expected one of pictures")
    target = Path(folder)
    atomic.make_folder(target)
    files = []
    for name, arguments in (
        ("encode_text", ["text", place]),
        ("encode_image", ["image", place, *shown]),
    ):
        program = _PROGRAM.format(
            name=name, python=shlex.quote(sys.executable), arguments=shlex.join(arguments)
        )
        atomic.write_bytes(target / name, program.encode())
        (target / name).chmod(0o755)
        files.append(name)
    for name in _DESCRIPTIONS:
        atomic.write_bytes(target / name, _description(pool).encode())
        files.append(name)
    return UdfReport(["encode_text", "encode_image"], loaded.name, loaded.dim, files)


def _description(pool: int) -> str:
    functions = [
        _FUNCTION.format(
            name=name,
            argument=argument,
            command=name,
            pool=pool,
            milliseconds=_START_MILLISECONDS,
            seconds=_WAIT_SECONDS,
        )
        for name, argument in (("encode_text", "text"), ("encode_image", "path"))
    ]
    return f"<functions>\n{''.join(functions)}</functions>\n"
