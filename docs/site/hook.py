"""What mkdocs.yml cannot say: pages outside of docs/, lists of pages, two languages in one site.

Each file keeps its path in the repository, so a relative link is right on the repository's page
and in the site.
"""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

CHINESE = ".zh-CN.md"
ROOT_FILES = (
    "README.md",
    "README.zh-CN.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "SECURITY.md",
)


def on_config(config: MkDocsConfig) -> None:
    """Replace the patterns of the navigation by the files that there are."""
    root = Path(config.config_file_path).parent
    config.nav = [_expand(entry, root) for entry in config.nav or []]


def _expand(entry: Any, root: Path) -> Any:
    if isinstance(entry, dict):
        return {title: _expand(inner, root) for title, inner in entry.items()}
    if isinstance(entry, list):
        return [_expand(inner, root) for inner in entry]
    if "*" not in entry:
        return entry
    found = sorted(root.glob(entry), key=lambda path: (path.stem != "README", path.stem))
    return [str(path.relative_to(root)) for path in found]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Give the files of docs/ their paths in the repository, and add those beside it."""
    root = Path(config.config_file_path).parent
    docs = Path(config.docs_dir).relative_to(root)
    theme = [file for file in files if file.src_dir != config.docs_dir]
    pages = [file.src_uri for file in files if file.src_dir == config.docs_dir]
    paths = [*ROOT_FILES, *(f"{docs}/{page}" for page in pages)]
    own = [File(path, str(root), config.site_dir, config.use_directory_urls) for path in paths]
    return Files([*theme, *own])


def on_page_context(context: Any, page: Page, config: MkDocsConfig, nav: Navigation) -> None:
    """Set the language of what stands around a page's text."""
    config.theme["language"] = "zh" if page.file.src_uri.endswith(CHINESE) else "en"
