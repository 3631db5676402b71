"""Options that several commands share: a function that takes them and makes one value of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Returned = TypeVar("Returned")


def expands(
    argument: str, make: Callable[..., Any], defaults: Mapping[str, object] | None = None
) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """Give a command the options of ``make`` in place of one argument, which gets what ``make`` makes of them.

    ``defaults`` are the command's own, by the option's name in Python. What makes a value may have options of others
    itself, so that groups are made of groups.
    """
    shared = inspect.signature(make, eval_str=True).parameters

    def with_options(command: Callable[..., Returned]) -> Callable[..., Returned]:
        def called(**values: Any) -> Returned:
            said = {name: values.pop(name) for name in shared}
            return command(**{argument: make(**said)}, **values)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            parameters += shared.values() if parameter.name == argument else [parameter]
        called.__name__, called.__doc__ = command.__name__, command.__doc__
        vars(called)["__signature__"] = inspect.Signature(
            [
                one.replace(
                    kind=inspect.Parameter.KEYWORD_ONLY,
                    default=(defaults or {}).get(one.name, one.default)
                    if one.name in shared
                    else one.default,
                )
                for one in parameters
            ]
        )
        return called

    return with_options
