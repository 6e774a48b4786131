"""What a child process sends as its answer, without what its libraries print."""

import subprocess
import sys

PROGRAM = """
import os
from pairdex.work.answers import own_output
output = own_output()
print("a library's progress bar", flush=True)
os.write(1, b"another")
output.write(b"the answer")
output.flush()
"""


def test_only_answers_reach_the_parent():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert (ran.stdout, ran.stderr) == (b"the answer", b"")
