"""Find the template and the version that an update goes to."""

from __future__ import annotations

from gindock.errors import BadInputError, RefusedSettingError
from gindock.updating.request import CURRENT, UpdateRequest
from gindock.upstream import source
from gindock.upstream.opened import Opened
from gindock.upstream.source import Source


def target(before: Source, request: UpdateRequest) -> Source:
    """Return the template and version that `request` asks for, coming from `before`.

    Raises:
        RefusedSettingError: there is no such version or template, or it would be a downgrade.
        BadInputError: this gindock does not know the project's version.
        UserError: the template cannot be reached.

    """
    url = before.url if request.template is None else source.named(request.template)
    if before.embedded:
        _check_known(before.ref or "")
    if request.to == CURRENT:
        if url != before.url:
            reason = "another template has versions of its own; name one of those"
            raise RefusedSettingError("to", CURRENT, reason)
        return before
    if request.to is None:
        found = Source(url, source.newest(url))
    else:
        found = Source(url, _named(request.to, url))
    return refuse_downgrade(before, found, request.to)


def refuse_downgrade(before: Source, found: Source, asked: str | None) -> Source:
    """`found`, or `before` where that is newer and nothing was `asked` for; raises as `target`."""
    old, new = (source.version_of(s.ref or "") for s in (before, found))
    if found.url != before.url or old is None or new is None or new >= old:
        return found
    if asked is None and found.embedded:
        raise BadInputError(
            f"this project is at {before.ref}, newer than the newest version that this "
            f"gindock has, {found.ref}; install a newer gindock"
        )
    if asked is None:
        return before  # A pre-release, or a commit after the newest release.
    back = "to go back, revert the commit of the update"
    reason = f"it would be a downgrade from {before.ref}; {back}"
    raise RefusedSettingError("to", asked, reason)


def refuse_moved_tag(before: Source, after: Source, template: Opened, answers_file: str) -> None:
    """Refuse a version like v1 that the template has moved to the commit to go to.

    Raises:
        BadInputError: it is so.

    """
    old, new = before.ref or "", after.ref or ""
    version = source.version_of(old)
    if (
        before.url == after.url
        and not same_version(old, new)
        and (version is None or len(version.release) < 3)
        and template.has_tag(old)
        and template.commit(old) == template.commit(new)
    ):
        raise BadInputError(
            f"the template has {old} and {new} on one commit, so that what this project "
            f"was rendered from cannot be told; let _commit in {answers_file} name that "
            "version by a tag that stays, and commit it"
        )


def same_version(recorded: str, target: str) -> bool:
    """Whether what Copier recorded names `target`: a tag, or a commit by its first digits."""
    commit = recorded.rpartition("-g")[2]
    return recorded == target or (len(target) >= 40 and target.startswith(commit))


def _named(version: str, url: str) -> str:
    if url != source.URL:
        return source.tagged(url, version)
    wanted = f"v{version.removeprefix('v')}"
    if not source.known(wanted):
        newest = source.version_tag()
        reason = f"this gindock has no such version; the newest is {newest}"
        raise RefusedSettingError("to", version, reason)
    return wanted


def _check_known(version: str) -> None:
    if source.is_development(version):
        raise BadInputError(
            f"this project was rendered from a checkout of gindock ({version}), not from a "
            "release, and there is no way from there to one; render it anew with a released gindock"
        )
    if not source.known(version):
        raise BadInputError(
            f"this project was rendered by gindock {version.removeprefix('v')}, which this gindock "
            f"({source.version_tag().removeprefix('v')}) does not know; install "
            f"gindock {version.removeprefix('v')} or newer"
        )
