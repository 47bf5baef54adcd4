"""What Copier, and git under it, say of a failure, as an error that tells the next step."""

from __future__ import annotations

import re
import tempfile

from gindock.errors import NoSuchVersionError, RefusedAnswerError, UserError
from gindock.upstream import cache

_REFUSED = re.compile(
    r"\A(?:Validation error for question|Invalid choice for|Question) "
    r"['\"](?P<key>\w+)['\"]:?\s*(?P<reason>.*)",
    re.DOTALL,
)


def of_copier(error: Exception) -> UserError:
    """What Copier says of a template or an answer."""
    text = " ".join(str(error).split())
    if refused := _REFUSED.match(text):
        return RefusedAnswerError(refused["key"], refused["reason"])
    if unknown := re.match(r"Unknown revision: '(.*)'", text):
        return _no_version(unknown[1])
    return RefusedAnswerError("", text or type(error).__name__)


def reason(text: str) -> str:
    """Why an answer is refused, in what Copier says of it, without the question's key."""
    refused = _REFUSED.match(text)
    return refused["reason"] if refused else text


def of_git(stderr: str | bytes, exit_code: object, *, own: bool) -> UserError:
    """What git says when it fetches a template; `own` tells that it is gindock's."""
    lines = [line.strip() for line in str(stderr).splitlines() if line.strip()]
    words = next((each for each in lines if each.startswith(("fatal:", "error:", "gindock:"))), "")
    if unknown := re.search(r"invalid reference: (.*)", words):
        return _no_version(unknown[1])
    ours = next((each for each in lines if each.startswith("gindock: ")), "")
    if ours:
        return UserError(ours.removeprefix("gindock: "))
    said = words or " ".join(lines[-1:]) or f"exit code {exit_code}"
    return UserError(f"git could not fetch the template ({said}); {next_step(said, own=own)}")


#: What git says, and what its user can do about it.
_NEXT_STEPS = {
    r"No space left|Disk quota exceeded": "make room in {temporary}, or set TMPDIR to a folder "
    "that has some",
    r"Read-only file system|could not (?:create|write)": "set TMPDIR to a folder that you can "
    "write, in place of {temporary}",
    r"transport '[^']*' not allowed": "let GIT_ALLOW_PROTOCOL, or protocol.allow in git's "
    "settings, allow it",
    r"Authentication failed|could not read (?:Username|Password)|Permission denied|publickey": (
        "log in to its host, or check that you may read it"
    ),
    r"Could not resolve|Connection (?:refused|timed out)|Failed to connect|unreachable": (
        "check its address, the network and the proxy"
    ),
}


def next_step(said: str, *, own: bool = False) -> str:
    """What to do where git has `said` why it could not fetch a template; gindock's is `own`."""
    for words, step in _NEXT_STEPS.items():
        if re.search(words, said, re.IGNORECASE):
            return step.format(temporary=tempfile.gettempdir())
    if own:
        return f"try again, or remove {cache.folder()}, which is made anew"
    return "check its address, which a project has as _src_path in its answers file"


def _no_version(ref: str) -> UserError:
    return NoSuchVersionError(f"the template has no version '{ref}'; see its tags")
