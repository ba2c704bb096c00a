"""Settings of the documentation site: ``sphinx-build -W docs site`` (``make docs``)."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "MRBench"
author = "the authors of MRBench"
copyright = "2026, the authors of MRBench"
version = release = installed_version("mrbench")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "MRBench"
myst_heading_anchors = 4  # a link to PAGE.md#heading must find its heading
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
