"""Wheels: what is built for which Python, and that none lacks a kernel."""

import platform
import re
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from pairdex import _native
from places import ROOT

TOOL = ROOT / "tools" / "build_wheels.py"


@pytest.fixture(scope="module")
def tool():
    spec = spec_from_file_location("build_wheels", TOOL)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheel(tmp_path):
    """A wheel of the module that is installed here."""
    path = tmp_path / "pairdex-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(_native.__file__, f"pairdex/{Path(_native.__file__).name}")
    return path


def test_a_wheel_with_the_kernels_of_the_machine_is_accepted(tool, wheel, capsys):
    tool.check_kernels(sys.executable, wheel)
    assert capsys.readouterr().out == f"{wheel.name}: {', '.join(_native.kernels())}\n"


def test_a_wheel_with_fewer_kernels_than_the_machine_is_refused(tool, wheel, monkeypatch):
    monkeypatch.setattr(_native, "kernels", lambda: ["better", "scalar"])
    with pytest.raises(SystemExit, match="lacks better, which this machine's build has"):
        tool.check_kernels(sys.executable, wheel)


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_compilers_are_zigs_for_an_old_glibc(tool, tmp_path, architecture):
    found = tool.compilers(tmp_path, architecture)
    assert f"-target {architecture}-linux-gnu.2.17" in Path(found["CXX"]).read_text()
    crosses = architecture != platform.machine()
    assert ("-DCMAKE_SYSTEM_PROCESSOR" in found["CMAKE_ARGS"]) == crosses


def test_the_workflow_builds_the_same_pythons_and_tests_the_kernels():
    text = (ROOT / "pyproject.toml").read_text()
    (builds,) = re.findall(
        r'^build = \["cp310-manylinux\*", "cp311-manylinux\*", "(.*)"\]$', text, re.M
    )
    assert builds == "cp312-manylinux*"  # and newer: abi3
    assert 'wheel.py-api = "cp312"' in text
    tested = re.search(r"^test-command = .*-k '(.*)'\"$", text, re.M)[1]
    names = re.findall(r"def (test_\w+)", (ROOT / "tests/native/test_native.py").read_text())
    chosen = [name for name in names if any(word in name for word in tested.split(" or "))]
    assert "test_every_kernel_is_offered_that_the_processor_has_the_instructions_for" in chosen
