"""`git-remote-gindock`: lets git fetch the template's history from the installed package.

Git runs it for addresses that start with `gindock::` and speaks the protocol of
gitremote-helpers(7) with it. It answers `connect` by running `git upload-pack` on the history, so
that plain `copier update` works offline wherever gindock is installed.
"""

from __future__ import annotations

import os
import sys

from gindock import interrupts
from gindock.errors import UserError
from gindock.gitio import environments
from gindock.upstream import source


def main() -> None:
    """Serve the one connection that git asks for."""
    try:
        with interrupts.raised():
            _serve()
    except UserError as error:
        print(f"gindock: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _serve() -> None:
    while command := _read_line():
        if command == "capabilities":
            _write("connect\n\n")
        elif command == "connect git-upload-pack":
            repository = source.repository()
            _write("\n")
            served = ("-c", f"safe.directory={repository}", "upload-pack", str(repository))
            # Git takes the place of this process.
            os.execvpe("git", ["git", *served], environments.for_own_repository())
        elif command.startswith("connect "):
            _write("fallback\n")
        else:
            raise UserError(f"git asks for '{command}', which the template's source does not offer")


def _read_line() -> str:
    # Unbuffered: what follows the line is for upload-pack.
    read = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        read += byte
    return read.decode()


def _write(text: str) -> None:
    os.write(1, text.encode())


if __name__ == "__main__":
    main()
