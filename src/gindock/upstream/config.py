"""The user's configuration of gindock: a file, and the environment that goes before it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import yaml

from gindock.errors import BadInputError


@dataclass(frozen=True)
class Setting:
    """What is configured, and where: the name of a variable, or the path of the file."""

    value: str
    origin: str


def template() -> Setting | None:
    """The template that `gindock new` takes where the command line names none.

    Raises:
        BadInputError: the configuration file cannot be read, or holds what it may not.

    """
    if configured := os.environ.get("GINDOCK_TEMPLATE"):
        return Setting(configured, "GINDOCK_TEMPLATE")
    if (configured := _read().get("template")) is None:
        return None
    return Setting(configured, str(_file()))


def _file() -> Path:
    folder = os.environ.get("GINDOCK_CONFIG_DIR")
    return Path(folder or platformdirs.user_config_path("gindock", appauthor=False)) / "config.yml"


def _read() -> dict[str, str]:
    file = _file()
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise BadInputError(f"cannot read {file} ({error.strerror}); mend or remove it") from None
    except (yaml.YAMLError, ValueError):
        raise BadInputError(f"{file} is no valid YAML; mend or remove it") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadInputError(f"{file} must hold `template: URL`; mend or remove it")
    for key, value in content.items():
        if key != "template":
            raise BadInputError(f"{file}: there is no setting '{key}'; the only one is 'template'")
        if not isinstance(value, str) or not value:
            raise BadInputError(
                f"{file}: 'template' must be a URL, a path or the word gindock, not {value!r}"
            )
    return content
