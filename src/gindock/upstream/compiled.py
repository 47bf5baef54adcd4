"""Each text of a template, compiled once per process.

Copier makes a new Jinja environment for every render, and compiles a text every time that it
renders it: the parts of a path, the default of a question. Jinja's own cache of bytecode is for
files alone, and Copier gives its environments none. What Jinja compiles depends on the text and on
the environment's settings, which are the keys here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from types import CodeType
from weakref import WeakKeyDictionary

from jinja2 import Environment, nodes

#: The packages whose extensions compile a text in the same way every time.
_KNOWN_EXTENSIONS = {"copier", "jinja2", "jinja2_ansible_filters"}

#: What an environment is made of, but for what has no part in compiling.
_SETTINGS = inspect.signature(Environment).parameters.keys() - {
    "auto_reload", "bytecode_cache", "cache_size", "enable_async", "extensions", "loader",
}  # fmt: skip

_Codes = dict[tuple[str, str | None], CodeType]

_by_settings: dict[Hashable, _Codes] = {}
_by_environment: WeakKeyDictionary[Environment, _Codes | None] = WeakKeyDictionary()


@contextmanager
def once() -> Iterator[None]:
    """Let Jinja compile no text twice that it has compiled within this before."""
    compile_: Callable[..., CodeType] = Environment.compile

    def compile_once(
        self: Environment,
        source: str | nodes.Template,
        name: str | None = None,
        filename: str | None = None,
        *rest: bool,
        **options: bool,
    ) -> CodeType:
        codes = None if rest or options else _codes(self)
        if codes is None or not isinstance(source, str):
            return compile_(self, source, name, filename, *rest, **options)
        # Extensions count on being asked: Copier's forgets here what it is to repeat.
        key = self.preprocess(source, name, filename), name
        if key in codes:
            # Files of one text may lie in several places; an error names its own.
            return codes[key].replace(co_filename=filename) if filename else codes[key]
        parsed = self.parse(source, name, filename)
        varies = _varies(self, parsed)
        code = compile_(self, parsed, name, filename)
        if not varies:
            codes[key] = code
        return code

    Environment.compile = compile_once  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        Environment.compile = compile_  # type: ignore[assignment, method-assign]


def _codes(environment: Environment) -> _Codes | None:
    """What is compiled for environments like this one; None where nothing is to be kept."""
    if environment not in _by_environment:
        settings = _settings(environment)
        _by_environment[environment] = (
            None if settings is None else _by_settings.setdefault(settings, {})
        )
    return _by_environment[environment]


def _settings(environment: Environment) -> Hashable:
    """What decides, besides a text, on what is compiled; None where that cannot be known."""
    packages = {type(e).__module__.partition(".")[0] for e in environment.extensions.values()}
    if not packages <= _KNOWN_EXTENSIONS:
        return None
    settings = (
        type(environment),
        environment.is_async,
        frozenset(environment.extensions),
        *(getattr(environment, name) for name in sorted(_SETTINGS)),
    )
    try:
        hash(settings)
    except TypeError:
        return None
    return settings


def _varies(environment: Environment, parsed: nodes.Template) -> bool:
    """Whether a text may be compiled into something else the next time.

    Jinja computes what is constant: `[[ 100 | ans_random ]]` becomes another number each time.
    """
    context = nodes.EvalContext(environment)
    return any(_is_constant(node, context) for node in parsed.find_all((nodes.Filter, nodes.Test)))


def _is_constant(node: nodes.Expr, context: nodes.EvalContext) -> bool:
    try:
        node.as_const(context)
    except Exception:  # What fails is left to the render.
        return False
    return True
