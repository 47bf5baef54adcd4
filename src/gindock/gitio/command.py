"""Run git."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gindock.errors import UserError
from gindock.gitio import environments

#: Git takes paths literally, even one like `:(top)`.
LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}

_MISSING = "git is not installed; install it and run the command again"


class GitError(UserError):
    """A git command that failed, with git's own words."""


class ForeignRepositoryError(GitError):
    """A repository that git does not look into, since another user owns it."""


def check_installed() -> None:
    """Raise a `GitError` where there is no git; Copier would report something else."""
    if shutil.which("git") is None:
        raise GitError(_MISSING)


def git(
    *arguments: str | Path,
    folder: Path,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    accept: Container[int] = (0,),
) -> bytes:
    """Run git in the user's `folder` and return what it wrote on stdout.

    `accept` are exit codes of success.

    Raises:
        GitError: git is missing or failed.
        KeyboardInterrupt: Ctrl-C has reached git first.

    """
    return _run(arguments, folder, environments.for_users_repository(env), stdin, accept)


def own_git(
    *arguments: str | Path,
    folder: Path,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    accept: Container[int] = (0,),
) -> bytes:
    """Run git on a repository of gindock's own, as `git` does, without the user's settings."""
    return _run(arguments, folder, environments.for_own_repository(env), stdin, accept)


@dataclass(frozen=True)
class UsersGit:
    """Git in the user's `folder`, as `git` runs it, each time with `options` and `env`."""

    folder: Path
    options: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def __call__(
        self,
        *arguments: str | Path,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        accept: Container[int] = (0,),
    ) -> bytes:
        """Run git; as `git` does it, and `env` goes before that of the place."""
        env = {**self.env, **(env or {})}
        return git(
            *self.options, *arguments, folder=self.folder, stdin=stdin, env=env, accept=accept
        )


def fetching_git(*arguments: str | Path, folder: Path, stdin: bytes | None = None) -> bytes:
    """Run git to fetch a template, or to read one that is not gindock's own, as `git` does."""
    return _run(arguments, folder, environments.to_fetch(), stdin)


def commit(message: str, *, folder: Path, env: Mapping[str, str] | None = None) -> None:
    """Commit what is staged as the user would, with their hooks in their environment.

    Raises as `git` does.
    """
    # Without this, git invents an author from the machine's name.
    known = "false" if os.environ.get("EMAIL") else "true"
    arguments = ("-c", f"user.useConfigOnly={known}", "commit", "--quiet", "--message", message)
    _run(arguments, folder, {**environments.of_user(), **(env or {})})


def _run(
    arguments: Sequence[str | Path],
    folder: Path,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    accept: Container[int] = (0,),
) -> bytes:
    try:
        done = subprocess.run(
            ["git", *map(str, arguments)],
            cwd=folder,
            env=env,
            input=b"" if stdin is None else stdin,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        if error.filename != "git":
            raise
        raise GitError(_MISSING) from None
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    if done.returncode not in accept:
        raise _failure(arguments, done)
    return done.stdout


def _failure(arguments: Sequence[str | Path], done: subprocess.CompletedProcess[bytes]) -> GitError:
    words = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
    if refused := re.search(r"detected dubious ownership in repository at '(.*)'", words):
        trust = shlex.join(["git", "config", "--global", "--add", "safe.directory", refused[1]])
        return ForeignRepositoryError(
            f"git does not look into {refused[1]}, which another user owns; "
            f"work as that user, or trust it by `{trust}`"
        )
    name = next(str(a) for a in arguments if not str(a).startswith("-") and "=" not in str(a))
    return GitError(f"git {name} failed: {words}")


def line(*arguments: str | Path, folder: Path, accept: Container[int] = (0,)) -> str | None:
    """The one line that a git command prints, or None where it prints nothing; raises as `git`."""
    return os.fsdecode(git(*arguments, folder=folder, accept=accept)).rstrip("\n") or None
