"""What `gindock update` says of what it has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gindock.cli.output import said
from gindock.upstream import source

if TYPE_CHECKING:
    from gindock.updating.report import Update

_WORDS = {
    "conflict": ("conflict", "red"),
    "merged": ("merged", "cyan"),
    "updated": ("updated", "green"),
    "added": ("added", "green"),
    "removed": ("removed", "green"),
    "kept": ("kept yours", "yellow"),
}


def cells(done: Update) -> tuple[str, str]:
    """The cells of an update in a table of many: its versions, and its outcome."""
    return _versions(done), _in_a_word(done)


def _versions(done: Update) -> str:
    return done.after if done.before == done.after else f"{done.before} to {done.after}"


def _in_a_word(done: Update) -> str:
    from rich.markup import escape

    if not done.files:
        return ", ".join(["nothing new", *(f"[yellow]{escape(note)}[/]" for note in done.notes)])
    if done.conflicts:
        words = [f"[red]conflicts[/] in {', '.join(map(escape, done.conflicts))}"]
    else:
        count = sum(file.kind != "kept" for file in done.files)
        what = "would change" if done.diff is not None else "updated"
        words = [f"[green]{what}[/]", f"{count} file{'' if count == 1 else 's'}"]
        if done.diff is None and not done.commit:
            words.append("staged")
    # A new question has its default; another answer is news.
    words += [
        f"[yellow]{escape(f'{key} is now {said(after)}')}[/]"
        for key, (before, after) in done.answers.items()
        if before is not None and after is not None
    ]
    if done.commit:
        words.append(f"commit {done.commit}")
    if done.finished:
        words.append(f"the rest of what commit {done.finished} holds a part of; update again")
    if done.recovered:
        words.append("an interrupted update undone first")
    if done.not_run:
        words.append(f"[yellow]not run: {escape(', '.join(done.not_run))}[/]")
    words += [f"[yellow]{escape(note)}[/]" for note in done.notes]
    return ", ".join(words)


def show(done: Update) -> None:
    if done.recovered:
        typer.secho("An update that was interrupted has been undone first.", fg="yellow")
    if not done.files and done.before == done.after:
        typer.echo(f"Already at {done.after}.")
        return
    if done.diff is not None:
        typer.echo(f"{done.diff}\n", nl=False)
    # The files last: the news may be long.
    if done.changelog:
        typer.echo(f"{done.changelog}\n")
    print_files(done)
    typer.echo("\n" + _closing(done))


def in_short(done: Update) -> str:
    """What is done, for one who can be told no more."""
    if done.diff is not None:
        return "nothing was changed"
    if not done.files and done.before == done.after:
        return f"already at {done.after}"
    what = _with_conflicts(done)
    return f"{what}, {f'commit {done.commit}' if done.commit else 'staged'}"


def print_files(done: Update) -> None:
    """A line for each file, by what happened to it."""
    for kind, (word, colour) in _WORDS.items():
        for file in done.files:
            if file.kind == kind:
                note = f" ({file.note})" if file.note else ""
                typer.echo(f"  {typer.style(f'{word:<10}', fg=colour)} {file.path}{note}")
    for key, (before, after) in done.answers.items():
        if before is None:
            news = f"{said(after)}, new"
        elif after is None:
            news = f"{said(before)}, no longer asked"
        else:
            news = f"{said(before)} is now {said(after)}"
        typer.echo(f"  {'answer':<10} {key}: {news}")


def _closing(done: Update) -> str:
    what = _with_conflicts(done)
    if done.diff is not None:
        return f"{what}; nothing was written."
    # That comes first, and alone.
    again = " Then update again, to what you asked for." if done.finished else ""
    if done.commit:
        return f"{what}, commit {done.commit}.{again}"
    look = "Look at it with `git diff --staged` and commit"
    if done.conflicts:
        look = "Resolve them, `git add` or `git rm` each file and commit"
    return f"{what}. {look}, or go back with `{done.way_back}`.{again}"


def _with_conflicts(done: Update) -> str:
    count = len(done.conflicts)
    found = f", with conflicts in {count} file{'s' if count > 1 else ''}" if count else ""
    return _what_happened(done) + found


def _what_happened(done: Update) -> str:
    would = done.diff is not None
    if done.finished:
        verb = "Would finish" if would else "Finished"
        return (
            f"{verb} the update from {done.before} to {done.after}, which was interrupted, and of "
            f"which commit {done.finished} holds a part"
        )
    if done.switched:
        template = "gindock's own template" if done.template == source.URL else done.template
        verb = "Would switch" if would else "Switched"
        return f"{verb} from {done.before} to {done.after} of {template}"
    if done.before == done.after:
        return f"{'Would change' if would else 'Changed'} answers, at {done.after}"
    return f"{'Would update' if would else 'Updated'} from {done.before} to {done.after}"
