"""The environments that git runs in: the user's, gindock's own, and one to fetch with.

In the user's repository all that they have configured counts. In gindock's own (the template's
history, Copier's copies of it, where versions are merged) nothing does. A template is fetched with
the user's credentials, proxies and addresses, and without what would act on a private checkout.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

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

# No command that only looks may leave an `index.lock` behind when it is killed.
_OURS = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}

#: Settings with which a checkout holds what the template does, and no program of the user's runs.
PLAIN: Mapping[str, str] = {
    "checkout.guess": "true",
    "clone.defaultRemoteName": "origin",  # Copier looks for branches there.
    "clone.filterSubmodules": "false",
    "clone.rejectShallow": "false",
    "commit.gpgSign": "false",
    "core.abbrev": "auto",  # A project records what `git describe` says.
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.safecrlf": "false",
    "core.sparseCheckout": "false",
    "core.splitIndex": "false",
    "fetch.prune": "false",
    "fetch.pruneTags": "false",
    "fetch.recurseSubmodules": "false",
    "index.sparse": "false",
    "init.defaultObjectFormat": "sha1",
    "init.defaultRefFormat": "files",
    "submodule.recurse": "false",
    "tag.gpgSign": "false",
    "worktree.guessRemote": "false",
}
#: The same, of what only the environment says. An empty folder of templates is none.
_PLAIN_VARIABLES = {
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_DEFAULT_HASH": "sha1",
    "GIT_DEFAULT_REF_FORMAT": "files",
    "GIT_TEMPLATE_DIR": "",
}

_NOBODYS = {
    **_PLAIN_VARIABLES,
    "GIT_ALLOW_PROTOCOL": "file:gindock",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
}
#: Of git's variables, those that choose the git that runs, and what it tells of its work.
_HARMLESS = ("GIT_CEILING_DIRECTORIES", "GIT_EXEC_PATH", "GIT_TRACE")


def of_user() -> dict[str, str]:
    """This process's environment, free of another git's repository."""
    return {name: value for name, value in os.environ.items() if name not in REPOSITORY_VARIABLES}


def for_users_repository(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """For what gindock asks of the user's repository, or does to it; `extra` is added."""
    env = {name: value for name, value in of_user().items() if name not in _PATHSPEC_VARIABLES}
    return {**env, **_OURS, **(extra or {})}


def for_own_repository(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """For a repository of gindock's own, which no setting of the user's reaches; `extra` is added.

    It may have been made by a gindock that let them in: some are overruled, not only left out.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_HARMLESS)
    }
    settings = {**PLAIN, "core.excludesFile": os.devnull}
    numbered = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        numbered |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {**env, **_OURS, **_NOBODYS, **numbered, **(extra or {})}


def to_fetch() -> dict[str, str]:
    """For fetching a template, and for the private checkout that it gets."""
    env = for_users_repository()
    env.pop("GIT_ATTR_SOURCE", None)
    # As git itself hands on what `git -c` sets, which goes before GIT_CONFIG_COUNT.
    given = [env["GIT_CONFIG_PARAMETERS"]] if env.get("GIT_CONFIG_PARAMETERS") else []
    ours = [f"'{key}'='{value}'" for key, value in PLAIN.items()]
    return {**env, **_PLAIN_VARIABLES, "GIT_CONFIG_PARAMETERS": " ".join([*given, *ours])}
