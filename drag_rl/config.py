"""The base of every configuration: frozen, refuses unknown keys, and says in one line what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from drag_rl.errors import InputError


class Config(BaseModel):
    """A frozen set of options; subclasses document each field with its unit and range."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any] | None, where: str) -> Self:
        """Build the options from a dict or an OmegaConf ``DictConfig``; None means the defaults.

        ``where`` names the source (a file, a config key) in the error. Raises InputError on an unknown key or
        a wrong value.
        """
        try:
            return cls.model_validate(_plain(options or {}))
        except ValidationError as error:
            raise InputError(f"{where}: {_first_problem(error, cls)}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _first_problem(error: ValidationError, config: type[BaseModel]) -> str:
    problem = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown option {name!r}; known options: {', '.join(_options(config, problem['loc'][:-1]))}"
    text = problem["msg"].removeprefix("Value error, ")
    return f"option {name!r}: {text}" if name else text


def _options(config: type[BaseModel], path: Sequence[str | int]) -> Iterable[str]:
    """The options of the configuration at ``path`` in this one."""
    parts = iter(path)
    for part in parts:
        annotation = config.model_fields[str(part)].annotation
        if get_origin(annotation) is dict:
            next(parts)  # the user's own name of a configuration
        choices = get_args(annotation) or (annotation,)  # a configuration, or one of ``Config | None``
        config = next(choice for choice in choices if issubclass(choice, BaseModel))
    return config.model_fields
