"""Git, run as a command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from gindock.errors import UserError

# What ties a git process to a repository (`git rev-parse --local-env-vars`): git sets these
# for hooks and remote helpers, and they would point ours at the wrong repository.
REPOSITORY_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


# How the user's shell would have git read paths; ours are names, or have magic of their own.
_PATHSPEC_VARIABLES = (
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)

_MISSING = "git is not installed; install it and run the command again"


class GitError(UserError):
    """A git command that failed, with git's own words."""


def check_installed() -> None:
    """Raise a `GitError` where there is no git; Copier would report something else."""
    if shutil.which("git") is None:
        raise GitError(_MISSING)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, free of another git's repository, with `extra` added."""
    env = {k: v for k, v in _users_environment().items() if k not in _PATHSPEC_VARIABLES}
    # No command that only looks may leave an `index.lock` behind when it is killed.
    return {**env, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", **(extra or {})}


def _users_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in REPOSITORY_VARIABLES}


def git(
    *arguments: str | Path,
    folder: Path,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    accept: Container[int] = (0,),
) -> bytes:
    """Run git in `folder` and return what it wrote on stdout; `accept` are exit codes of success.

    Raises:
        GitError: git is missing or failed.
        KeyboardInterrupt: Ctrl-C has reached git first.

    """
    return _run(arguments, folder, environment(env), stdin, accept)


def commit(message: str, *, folder: Path, env: Mapping[str, str] | None = None) -> None:
    """Commit what is staged as the user would, with their hooks in their environment.

    Raises as `git` does.
    """
    # Git would otherwise make up an author from the machine's name.
    known = "false" if os.environ.get("EMAIL") else "true"
    arguments = ("-c", f"user.useConfigOnly={known}", "commit", "--quiet", "--message", message)
    _run(arguments, folder, {**_users_environment(), **(env or {})})


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
        words = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        name = next(str(a) for a in arguments if not str(a).startswith("-") and "=" not in str(a))
        raise GitError(f"git {name} failed: {words}")
    return done.stdout


def line(*arguments: str | Path, folder: Path) -> str | None:
    """The one line that a git command prints, or None where it fails or prints nothing."""
    try:
        return os.fsdecode(git(*arguments, folder=folder)).rstrip("\n") or None
    except GitError:
        return None
