"""Command groups that import a command when it is asked for: none pays for what the others need."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

_NONE: Mapping[str, str] = {}


def lazy_group(places: Mapping[str, str], panels: Mapping[str, str] = _NONE) -> type[typer.core.TyperGroup]:
    """A group of the commands that `places` has by name, each as `module:function`, or `module:app` for a group.

    `panels`: under which heading `--help` lists a command.
    """

    class LazyGroup(typer.core.TyperGroup):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.commands = dict.fromkeys(places)  # type: ignore[assignment] # whose names typer suggests to who mistypes one

        def list_commands(self, ctx: Any) -> list[str]:
            return list(places)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if cmd_name not in places:
                return None
            command = _load(cmd_name, places[cmd_name])
            command.rich_help_panel = panels.get(cmd_name)
            return command

    return LazyGroup


def _load(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        command, found = found, typer.Typer(add_completion=False)
        found.command(name=name)(command)
    loaded = typer.main.get_command(found)
    loaded.name = name
    return loaded
