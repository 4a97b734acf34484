"""What mkdocs.yml's site has beside docs/: pages made from files elsewhere in the repository, without a copy of them.

README.md is the first page, CONTRIBUTING.md the last, config/README.md the reference of the configuration, and
tools/commands.py prints that of the commands. A link to any other file of the repository leads to its text, under
source/ in the site.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools import commands, mathematics  # noqa: E402

ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "config/README.md": "reference/configuration.md",
}  # in the repository: in the site
COMMANDS = "reference/commands.md"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Has blocks of LaTeX set as mathematics."""
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [mathematics.FENCE]}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from elsewhere, and the files that pages link to."""
    for path, page in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMANDS, content=commands.page()))
    linked = {target for file in files.documentation_pages() for target in _targets(file.src_uri, file.content_string)}
    for path in sorted(linked):
        if files.get_file_from_path(_in_site(path)) is None and (ROOT / path).is_file():
            files.append(File.generated(config, _in_site(path), content=(ROOT / path).read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between files of the repository into links between pages of the site."""
    here = page.file.src_uri

    def turn(match: re.Match[str]) -> str:
        target = _in_site(_in_repository(here, match[1]))
        return os.path.relpath(target, os.path.dirname(here) or ".") if files.get_file_from_path(target) else match[1]

    return LINK.sub(turn, markdown)


def _targets(page: str, markdown: str) -> set[str]:
    return {_in_repository(page, link) for link in LINK.findall(markdown)}


def _in_repository(page: str, link: str) -> str:
    """The path in the repository that a link of a page of the site means."""
    origins = {site: path for path, site in ELSEWHERE.items()}
    return os.path.normpath(os.path.join(os.path.dirname(origins.get(page, f"docs/{page}")), link))


def _in_site(path: str) -> str:
    """Where a file of the repository is in the site."""
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}.txt"
