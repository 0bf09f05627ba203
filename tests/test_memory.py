"""What the C library is told about memory."""

import platform
import subprocess
import sys

TELL = "from agents.memory import keep_freed; print(keep_freed())"


def test_glibc_takes_what_it_is_told_and_others_do_no_harm() -> None:
    done = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")
