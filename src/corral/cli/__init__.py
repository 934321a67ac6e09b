"""The `corral` command: the only part that prints."""

from corral.cli.app import main

__all__ = ["main"]
