"""What ties a child process to us, so that none is left over when we are killed."""

import os
import sys
from collections.abc import Sequence
from typing import Final

# Runs in a fresh interpreter that then becomes the program: prctl in a forked child of a threaded process
# (subprocess' preexec_fn) may deadlock. 1 is PR_SET_PDEATHSIG, see prctl(2).
_LAUNCHER: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def tied_to_us(argv: Sequence[str]) -> list[str]:
    """Return a command that runs ``argv`` and gets SIGTERM when we end, however we end.

    On Linux the kernel does it when the *thread* that starts the command ends: start it from one that lives as long
    as the program shall. Elsewhere there is no such thing, and the command is ``argv`` itself.

    Args:
        argv: Program and arguments, the program as an absolute path.
    """
    if sys.platform != "linux":
        return [*argv]
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *argv]
