"""Copier, through its public names: the one module that imports it."""

from __future__ import annotations

import functools
import io
import itertools
import os
import re
import shutil
import signal
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import copier
import yaml
from copier.errors import (
    CopierError,
    DirtyLocalWarning,
    InteractiveSessionError,
    UnsafeTemplateError,
    UserMessageError,
)
from jinja2 import TemplateError
from plumbum import ProcessExecutionError, local

from gindock import answers, source
from gindock.errors import BadInputError, RefusedAnswerError, UserError
from gindock.guard import lock_folder
from gindock.source import Source

_ANSWERS_TEMPLATE = "[[ _copier_conf.answers_file ]].jinja"
_REFUSED = re.compile(
    r"\A(?:Validation error for question|Invalid choice for|Question) "
    r"['\"](?P<key>\w+)['\"]:?\s*(?P<reason>.*)",
    re.DOTALL,
)


def render(
    template: Source,
    destination: Path,
    *,
    data: Mapping[str, Any],
    ask: Sequence[str] = (),
    defaults: bool,
    on_a_terminal: bool,
    suggestions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Render `template` into `destination` and return the answers that it recorded.

    `data` is answered; without `defaults`, Copier asks the rest `on_a_terminal`; with them, only
    the questions in `ask`. `suggestions` are defaults that go before the template's own.

    Raises:
        BadInputError: an answer is refused.
        UserError: the template cannot be had, or is none.
        KeyboardInterrupt: the user left a question with Ctrl-C.

    """
    settings = _settings()
    with _copier(own=template.embedded), nullcontext() if on_a_terminal else _nobody_to_ask():
        copier.run_copy(
            template.url,
            destination,
            data=dict(data),
            ask=ask,
            defaults=defaults,
            user_defaults=dict(suggestions or {}),
            vcs_ref=template.ref,
            settings=settings,
            quiet=True,
        )
    return answers.recorded(destination)


def declared_questions(template: Source) -> set[str]:
    """The keys in the `copier.yml` of another template, which git fetches once more for this.

    Raises:
        UserError: the template cannot be had, or its `copier.yml` cannot be read by itself.

    """
    folder = Path(template.url)
    try:
        if folder.is_dir():
            text = next(folder.glob("copier.y*ml")).read_text(encoding="utf-8")
        else:
            with source.opened(template.url) as opened:
                text = opened.questions(template.ref or "HEAD") or ""
        return {str(key) for key in yaml.safe_load(text)}
    except (StopIteration, yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError("the template's questions cannot be read; leave -d out") from error


def default_answers(data: Mapping[str, Any], *, own: bool) -> dict[str, Any]:
    """What gindock's own template answers where only `data` is given.

    With `own`, the defaults in the user's settings file count; without, only the template's.

    Raises:
        BadInputError: an answer is refused.

    """
    with tempfile.TemporaryDirectory(prefix="gindock-") as folder:
        with _copier():
            copier.run_copy(
                questionnaire(Path(folder)).url,
                Path(folder, "answers"),
                data=dict(data),
                defaults=True,
                settings=_settings() if own else copier.Settings(),
                quiet=True,
            )
        return answers.recorded(Path(folder, "answers"))


def questionnaire(folder: Path) -> Source:
    """A template in `folder` that asks what gindock's own asks, and renders the answers alone."""
    template = folder / "questionnaire" / "template"
    template.mkdir(parents=True)
    shutil.copy(source.questions_file(), template.parent)
    shutil.copy(source.questions_file().parent / "template" / _ANSWERS_TEMPLATE, template)
    return Source(str(template.parent))


def rerender(
    template: Source,
    folder: Path,
    *,
    answers_file: Path,
    given: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    defaults: bool = True,
    version: str | None = None,
) -> dict[str, Any]:
    """Render `template` into `folder` once more, with the recorded answers `given`.

    `data` goes before them. What neither answers is asked, or, with `defaults`, takes its default;
    so does a recorded answer that the template refuses. Returns what is recorded then: as the
    template's version, `version`, or else what Copier calls it.

    Raises:
        BadInputError: an answer in `data` is refused.
        UserError: the template cannot be had, or cannot be rendered.
        KeyboardInterrupt: the user left a question with Ctrl-C.

    """
    file = folder / answers_file
    file.parent.mkdir(parents=True, exist_ok=True)
    # Copier takes its source and the earlier answers from there.
    source_entries = {"_src_path": template.url, "_commit": template.ref}
    file.write_text(
        yaml.safe_dump({**given, **source_entries}, allow_unicode=True), encoding="utf-8"
    )
    settings = _settings()
    # The folder may lie within a repository, whose index Copier would change.
    ceilings = [str(folder.parent.resolve()), os.environ.get("GIT_CEILING_DIRECTORIES", "")]
    with (
        _copier(own=template.embedded),
        local.env(GIT_CEILING_DIRECTORIES=os.pathsep.join(filter(None, ceilings))),
        _nobody_to_ask() if defaults else nullcontext(),
    ):
        copier.run_recopy(
            folder,
            data=dict(data or {}),
            answers_file=str(answers_file),
            vcs_ref=template.ref,
            settings=settings,
            defaults=defaults,
            skip_answered=True,
            overwrite=True,
            quiet=True,
        )
    if version:
        answers.name_version(file, version)
    return answers.read(file)


def own_defaults() -> Mapping[str, Any]:
    """The defaults that the user keeps in Copier's settings file.

    Raises:
        UserError: that file cannot be read.

    """
    return _settings().defaults


def _settings() -> copier.Settings:
    """The user's settings of Copier; see `own_defaults`."""
    try:
        return copier.load_settings()
    except (CopierError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"Copier's settings file cannot be read ({reason}); mend it") from error


@contextmanager
def _copier(*, own: bool = True) -> Iterator[None]:
    """Run Copier with the template's source within git's reach, and its errors as ours.

    `own` tells that the template is gindock's.
    """
    _take_mirrors()
    with (
        warnings.catch_warnings(),
        # Copier reads the environment once, when it is imported; plumbum's copy is what it uses.
        local.env(
            PATH=os.pathsep.join([*_helper_folders(), os.environ.get("PATH", os.defpath)]),
            **_line_endings_as_they_are(),
        ),
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", DirtyLocalWarning)
        try:
            yield
        except DirtyLocalWarning:
            raise BadInputError(
                "the template has uncommitted changes, and what is rendered from them could never "
                "be updated; commit them first"
            ) from None
        except InteractiveSessionError:
            raise BadInputError(
                "there is no terminal to ask on; add --defaults, or an option for each question"
            ) from None
        except UnsafeTemplateError as error:
            features = str(error).splitlines()[0]
            raise UserError(
                f"{features} gindock runs no template's own commands; use Copier, with --trust"
            ) from None
        except ProcessExecutionError as error:
            if error.retcode == -signal.SIGINT:  # Ctrl-C has reached git first.
                raise KeyboardInterrupt from None
            raise _git_failure(error, own=own) from error
        except UserMessageError as error:
            raise UserError(str(error)) from error
        except (CopierError, ValueError, TypeError, yaml.YAMLError) as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise _translated(error) from error
        except RuntimeError as error:  # For example a link that leads to itself.
            raise UserError(f"the template cannot be rendered: {error}") from error
        except (ArithmeticError, LookupError, AttributeError, TemplateError) as error:
            # Raised within a template's or a setting's own expressions.
            raise UserError(
                f"an expression of the template, or of Copier's settings file, failed: {error}"
            ) from error


@functools.cache
def _take_mirrors() -> None:
    """Give Copier a folder for its mirrors of templates that no other process uses meanwhile.

    Copier refreshes them on every use, and two that do so at once make git fail.
    """
    above = Path(os.environ.get("COPIER_CACHE_DIR") or source.cache_folder())
    # Where the cache cannot be written, Copier says so.
    with suppress(OSError):
        for number in itertools.count(1):
            folder = above / f"mirrors-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(BlockingIOError):
                lock_folder(folder)  # Until this process ends.
                os.environ["COPIER_CACHE_DIR"] = str(folder)
                return


@contextmanager
def _nobody_to_ask() -> Iterator[None]:
    """Let a question fail at once, unseen, whatever standard input and output are."""
    stdin = sys.stdin
    with Path(os.devnull).open() as nothing, redirect_stdout(io.StringIO()):
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = stdin


def _translated(error: Exception) -> UserError:
    text = " ".join(str(error).split())
    if refused := _REFUSED.match(text):
        option = "--" + refused["key"].replace("_", "-")
        return RefusedAnswerError(f"{option}: {refused['reason']}")
    if unknown := re.match(r"Unknown revision: '(.*)'", text):
        return _no_version(unknown[1])
    return RefusedAnswerError(text or type(error).__name__)


def _git_failure(error: ProcessExecutionError, *, own: bool) -> UserError:
    lines = [line.strip() for line in str(error.stderr).splitlines() if line.strip()]
    words = next((each for each in lines if each.startswith(("fatal:", "error:", "gindock:"))), "")
    if unknown := re.search(r"invalid reference: (.*)", words):
        return _no_version(unknown[1])
    ours = next((each for each in lines if each.startswith("gindock: ")), "")
    if ours:
        return UserError(ours.removeprefix("gindock: "))
    said = words or " ".join(lines[-1:]) or f"exit code {error.retcode}"
    hint = "try again" if own else "check its address, in a project _src_path in its answers file"
    return UserError(f"git could not fetch the template ({said}); {hint}")


def _no_version(ref: str) -> UserError:
    return BadInputError(f"the template has no version '{ref}'; see its tags")


def _line_endings_as_they_are() -> dict[str, str]:
    """The environment in which git checks a template out with the line endings that it has."""
    count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    settings = {"core.autocrlf": "false", "core.eol": "lf", "core.safecrlf": "false"}
    added = {"GIT_CONFIG_COUNT": str(count + len(settings))}
    for number, (key, value) in enumerate(settings.items(), count):
        added |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return added


def _helper_folders() -> list[str]:
    """Where `git-remote-gindock` may lie when its environment is not activated."""
    folders = [
        str(Path(sys.argv[0]).resolve().parent),
        sysconfig.get_path("scripts"),
        str(Path(sys.executable).parent),
        sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")),
    ]
    return [
        folder
        for folder in dict.fromkeys(folders)
        if shutil.which("git-remote-gindock", path=folder)
    ]
