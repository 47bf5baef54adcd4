"""A script for the Python of an installed release: create a service of each answers file named.

The release and Copier are imported once, and each service is created by a process of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gindock import cli


def create(file: Path) -> None:
    """Run `gindock new` as its command does; it exits."""
    name = file.stem
    sys.argv = ["gindock", "new", "--defaults", "--quiet", name, "--answers", str(file)]
    cli.main()


def main() -> None:
    """Create the services one after the other, the first in this process: it loads everything."""
    for number, file in enumerate(map(Path, sys.argv[1:])):
        child = os.fork() if number else 0
        if child == 0:
            try:
                create(file)
            except SystemExit as done:
                if number or done.code:
                    sys.stderr.flush()
                    os._exit(int(done.code or 0))
        elif os.waitpid(child, 0)[1]:
            sys.exit(f"{file.stem} could not be created")


if __name__ == "__main__":
    main()
