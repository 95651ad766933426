"""The YAML language server that editors use, installed from `tests/editors` with npm."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.language_client import LanguageClient

PACKAGE = Path(__file__).parent.parent / "editors"
SETTINGS = {
    "yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}},
    "http": {},
    "[yaml]": {},
}
"""What Red Hat's extension sends, without the schemas of the web."""
OLDEST_NODE = 18
NO_NETWORK = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network")


def install(folder: Path) -> list[str]:
    """The command that starts the server, installed into the folder. Skips the tests where that cannot be done."""
    if not (node := shutil.which("node")) or not (npm := shutil.which("npm")):
        pytest.skip("needs node and npm, to run the language server of editors")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60).stdout.strip()
    if int(version.lstrip("v").partition(".")[0] or 0) < OLDEST_NODE:
        pytest.skip(f"needs node {OLDEST_NODE} or newer, this is {version}")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(PACKAGE / name, folder / name)
    said = subprocess.run([npm, "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, timeout=110)
    if said.returncode and NO_NETWORK.search(said.stderr):
        pytest.skip("needs the npm registry, to install the language server of editors")
    assert said.returncode == 0, said.stderr
    return [node, str(folder / "node_modules/yaml-language-server/bin/yaml-language-server"), "--stdio"]


def start(command: list[str], project: Path) -> LanguageClient:
    """The server for a project folder."""
    return LanguageClient(command, project, SETTINGS)
