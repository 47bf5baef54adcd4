"""Copier, through its public names: the one module that imports it."""

from __future__ import annotations

import functools
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copier
import yaml
from copier.errors import (
    CopierError,
    DirtyLocalWarning,
    InteractiveSessionError,
    MissingFileWarning,
    UnsafeTemplateError,
    UserMessageError,
)
from jinja2 import TemplateError
from plumbum import ProcessExecutionError

from gindock.errors import BadInputError, NobodyToAskError, UserError
from gindock.upstream import answers, around_copier, checkout, compiled, declared, refusals, source
from gindock.upstream.away import Away
from gindock.upstream.checkout import Checkout
from gindock.upstream.seen import remember
from gindock.upstream.source import Source


def render(
    template: Source,
    away: Away,
    *,
    data: Mapping[str, Any],
    ask: Sequence[str] = (),
    defaults: bool,
    on_a_terminal: bool,
    suggestions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Render `template` anew, `away` from the project, and return the answers that it recorded.

    `data` is answered; without `defaults`, Copier asks the rest `on_a_terminal`; with them, only
    the questions in `ask`. `suggestions` are defaults that go before the template's own.

    Raises:
        BadInputError: an answer is refused.
        UserError: the template cannot be had, or is none.
        KeyboardInterrupt: the user left a question with Ctrl-C.

    """
    settings, declares, own = _prepared(template)
    run = functools.partial(
        copier.run_copy, str(own.folder) if own else template.url, away.folder, data=dict(data),
        ask=ask, defaults=defaults, user_defaults=dict(suggestions or {}), settings=settings,
        vcs_ref=None if own else template.ref, skip_tasks=True, quiet=True,
    )  # fmt: skip

    def once(missed: list[str]) -> None:
        with _noting(missed, template, own, asks=on_a_terminal):
            run()
        if own and (file := answers.find(away.folder)):
            own.name_in(file)

    _render(away, once, declares)
    remember(Source(template.url, (recorded := answers.recorded(away.folder)).get("_commit")))
    return recorded


def default_answers(data: Mapping[str, Any], *, own: bool) -> dict[str, Any]:
    """What gindock's own template answers where only `data` is given.

    With `own`, the defaults in the user's settings file count; without, only the template's.

    Raises:
        BadInputError: an answer is refused.

    """
    with tempfile.TemporaryDirectory(prefix="gindock-") as folder:
        with _copier(git=False):
            copier.run_copy(
                source.questionnaire(Path(folder)).url,
                Path(folder, "answers"),
                data=dict(data),
                defaults=True,
                settings=_settings() if own else copier.Settings(),
                skip_tasks=True,
                quiet=True,
            )
        return answers.recorded(Path(folder, "answers"))


def rerender(
    template: Source,
    away: Away,
    *,
    answers_file: Path,
    given: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
    defaults: bool = True,
    version: str | None = None,
    updates: bool = False,
    exclude: Sequence[str] = (),
) -> dict[str, Any]:
    """Render `template` once more, `away` from the project, with the recorded answers `given`.

    `data` goes before them. What neither answers is asked, or, with `defaults`, takes its default;
    so does a recorded answer that the template refuses. Returns what is recorded then: as the
    template's version, `version`, or else what Copier calls it. Without what the template
    leaves out, with `updates` also of those, and what the patterns in `exclude` name.

    Raises:
        BadInputError: an answer in `data` is refused.
        UserError: the template cannot be had, or cannot be rendered.
        KeyboardInterrupt: the user left a question with Ctrl-C.

    """
    settings, declares, own = _prepared(template)
    left_out = declared.excluded_from_updates(declares) if updates and declares else []
    run = functools.partial(
        copier.run_recopy, away.folder, data=dict(data or {}), answers_file=str(answers_file),
        vcs_ref=None if own else template.ref, settings=settings, exclude=[*left_out, *exclude],
        skip_answered=True, overwrite=True, skip_tasks=True, quiet=True,
    )  # fmt: skip
    again = _Again(template, own, away.folder, away.folder / answers_file, dict(given), run)
    if not defaults and (declares is None or declares.get("_external_data")):
        # What is asked may depend on what is read.
        with suppress(UserError):
            _render(away, functools.partial(again.once, defaults=True), declares, answers_file)
    _render(away, functools.partial(again.once, defaults=defaults), declares, answers_file)
    if version:
        answers.name_version(again.file, version)
    return answers.read(again.file)


@dataclass(frozen=True)
class _Again:
    """A render with the answers that are `given`; Copier finds them in the answers `file`."""

    template: Source
    own: Checkout | None
    folder: Path
    file: Path
    given: dict[str, Any]
    run: Callable[..., object]

    def once(self, missed: list[str], *, defaults: bool) -> None:
        """Render, and append the external data that Copier looks for in vain to `missed`."""
        record = {**self.given, "_src_path": self.template.url, "_commit": self.template.ref}
        if self.own:
            record |= {"_src_path": str(self.own.folder), "_commit": None}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(yaml.safe_dump(record, allow_unicode=True), encoding="utf-8")
        with (
            _noting(missed, self.template, self.own, asks=not defaults),
            around_copier.alone(self.folder),
        ):
            self.run(defaults=defaults)
        if self.own:
            self.own.name_in(self.file)
        if not defaults:  # Nothing is asked twice.
            self.given.update(answers.asked(answers.read(self.file)))


def _prepared(
    template: Source,
) -> tuple[copier.Settings, declared.Settings | None, Checkout | None]:
    """The user's settings, what `template` declares, and its checkout, if it is gindock's.

    Raises as `render` does.
    """
    source.check_readable(template.url)
    settings = _settings()
    return settings, _declares(template, settings), checkout.of(template)


def _render(
    away: Away,
    once: Callable[[list[str]], None],
    declares: declared.Settings | None,
    own: Path = Path(),
) -> None:
    asked = map(str, ((declares or {}).get("_external_data") or {}).values())
    skips = not away.put and (declares is None or bool(declares.get("_skip_if_exists")))
    away.render(once, asked=asked, own=own, skips=skips)


def _declares(template: Source, settings: copier.Settings) -> declared.Settings | None:
    """What `template` declares; None where that cannot be told before Copier has rendered it.

    Raises:
        UserError: it has commands that Copier would run after a render, and is not trusted.

    """
    declares = declared.of(template)
    if declares is None or declared.tasks(declares):
        # Where tasks are skipped, Copier does not ask for trust; where it pretends, it does that
        # first, and runs nothing.
        with (
            tempfile.TemporaryDirectory(prefix="gindock-") as folder,
            _copier(own=template.embedded),
            around_copier.nobody_to_ask(),
        ):
            try:
                copier.run_copy(
                    template.url, Path(folder, "nothing"), vcs_ref=template.ref,
                    settings=settings, defaults=True, pretend=True, quiet=True,
                )  # fmt: skip
            except Exception as error:
                if isinstance(error, UnsafeTemplateError):
                    raise
    return declares


@contextmanager
def _noting(
    missed: list[str], template: Source, own: Checkout | None, *, asks: bool
) -> Iterator[None]:
    """Run Copier, and append the external data that it looks for in vain to `missed`."""
    with (
        _copier(own=template.embedded, git=own is None),
        nullcontext() if asks else around_copier.nobody_to_ask(),
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always", MissingFileWarning)
        try:
            yield
        finally:
            found = [each for each in said if issubclass(each.category, MissingFileWarning)]
            missed += [str(each.message).partition(": ")[2] for each in found]


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
        raise BadInputError(f"Copier's settings file is unreadable ({reason}); mend it") from error


@contextmanager
def _copier(*, own: bool = True, git: bool = True) -> Iterator[None]:
    """Run Copier with its errors as ours; see `around_copier.environment`."""
    with warnings.catch_warnings(), around_copier.environment(own=own, git=git), compiled.once():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", DirtyLocalWarning)
        with _errors_of_ours(own=own):
            yield


@contextmanager
def _errors_of_ours(*, own: bool) -> Iterator[None]:
    try:
        yield
    except DirtyLocalWarning:
        raise BadInputError(
            "the template has uncommitted changes, and what is rendered from them could never "
            "be updated; commit them first"
        ) from None
    except InteractiveSessionError:
        raise NobodyToAskError from None
    except UnsafeTemplateError as error:
        features = str(error).splitlines()[0]
        raise BadInputError(
            f"{features} gindock runs no template's own commands; to render it without them, "
            "name its address below `trust` in Copier's settings file"
        ) from None
    except ProcessExecutionError as error:
        if error.retcode == -signal.SIGINT:  # Ctrl-C has reached git first.
            raise KeyboardInterrupt from None
        raise refusals.of_git(error.stderr, error.retcode, own=own) from error
    except UserMessageError as error:
        raise UserError(str(error)) from error
    except (CopierError, ValueError, TypeError, yaml.YAMLError) as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise refusals.of_copier(error) from error
    except RuntimeError as error:  # For example a link that leads to itself.
        raise UserError(f"the template cannot be rendered: {error}") from error
    except (ArithmeticError, LookupError, AttributeError, TemplateError) as error:
        # Raised within a template's or a setting's own expressions.
        raise UserError(
            f"an expression of the template, or of Copier's settings file, failed: {error}"
        ) from error
