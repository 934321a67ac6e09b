"""What mkdocs adds to the site: the pages at the top of the tree, with links that hold there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# By their names in the site.
AT_THE_TOP = {"security.md": "SECURITY.md", "contributing.md": "CONTRIBUTING.md", "changes.md": "CHANGELOG.md"}


def on_files(files: Files, config: Any) -> Files:
    """Take the pages in, as if they lay in docs."""
    for name, source in AT_THE_TOP.items():
        files.append(File.generated(config, name, content=as_if_in_docs((ROOT / source).read_text())))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links out of docs lead to where the site has the page; what it does not have is named."""
    for name, source in AT_THE_TOP.items():
        markdown = markdown.replace(f"](../{source}", f"]({name}")
    return without_links_into_the_tree(markdown, "../")


def as_if_in_docs(markdown: str) -> str:
    """A page at the top, with links as seen from docs."""
    for name, source in AT_THE_TOP.items():
        markdown = markdown.replace(f"]({source}", f"]({name}")
    return without_links_into_the_tree(re.sub(r"\]\(docs/", "](", markdown), "")


def without_links_into_the_tree(markdown: str, top: str) -> str:
    """Say the path where the site has nothing to link to."""
    pattern = rf"\[([^\]]+)\]\({re.escape(top)}((?:tests|tools|docker|src)/[^)]*)\)"
    return re.sub(pattern, r"\1 (`\2`)", markdown)
