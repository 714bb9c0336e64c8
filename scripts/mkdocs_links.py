"""Hooks of mkdocs (see mkdocs.yml). The pages lie in docs/, README.md, CONTRIBUTING.md and bench/,
and link to each other and to sources by their places in the repository. Here the pages outside of
docs/ and the files that are linked to become part of the site, and the links follow them. With
--strict a link to something that is not there, or to a heading that is not, fails the build.
"""

import logging
import os
import posixpath
import re

from mkdocs.structure.files import File

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = ["README.md", "CONTRIBUTING.md", "bench/RESULTS.md", "bench/GPU.md"]
LINK = re.compile(r"\[([^\]\[]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def slug(heading, separator):
    """The anchor of a heading, as GitHub and GitLab make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def on_config(config):
    config["mdx_configs"].setdefault("toc", {})["slugify"] = slug
    if "validation" in config:  # since mkdocs 1.5
        config["validation"]["links"]["anchors"] = logging.WARNING
        config["validation"]["nav"]["omitted_files"] = logging.WARNING
    return config


def place_in_repository(page):
    return page if page in PAGES else "docs/" + page


def place_on_site(path):
    return path[len("docs/"):] if path.startswith("docs/") else path


def linked_path(page, target):
    """The file or folder of the repository that a link of a page leads to; None for another link."""
    path = posixpath.normpath(
        posixpath.join(posixpath.dirname(place_in_repository(page)), target))
    outside = "://" in target or path.startswith("..")
    return path if not outside and os.path.exists(os.path.join(ROOT, path)) else None


def on_files(files, config):
    def add(path):
        if files.get_file_from_path(place_on_site(path)) is None:
            files.append(File(path, ROOT, config["site_dir"], config["use_directory_urls"]))

    for page in PAGES:
        add(page)
    for page in [file.src_path for file in files.documentation_pages()]:
        with open(os.path.join(ROOT, place_in_repository(page)), encoding="utf-8") as text:
            for _, target, _ in LINK.findall(text.read()):
                path = linked_path(page, target)
                if path and os.path.isfile(os.path.join(ROOT, path)):
                    add(path)
    return files


def on_page_markdown(markdown, page, config, files):
    here = page.file.src_path

    def moved(match):
        text, target, anchor = match.groups(default="")
        path = linked_path(here, target)
        if path is None:
            return match.group(0)
        if os.path.isdir(os.path.join(ROOT, path)):  # a site has no page of a folder
            return text
        relative = posixpath.relpath(place_on_site(path), posixpath.dirname(here) or ".")
        return f"[{text}]({relative}{anchor})"

    return LINK.sub(moved, markdown)
