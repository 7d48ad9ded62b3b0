"""``make setup``: uv installs the locks from where pip was configured to install."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "requirements" / "install.py"


def _install() -> Any:
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LISTED = """:env:.extra-index-url='https://second.example/simple https://third.example/simple'
:env:.retries='2'
global.cert='/etc/ssl/company.pem'
global.find-links='\\n/wheels\\n/more-wheels'
global.index-url='https://pypi.example/simple'
global.retries='9'
global.trusted-host='pypi.example'
install.index-url='https://user:secret@mirror.example/simple'
list.index-url='https://unused.example/simple'
"""


def test_uv_asks_what_pip_is_configured_to_ask_and_a_variable_of_uv_wins() -> None:
    install = _install()
    options = install.pip_options(LISTED)
    made = install.uv_environment(options, {"UV_HTTP_RETRIES": "5"})
    assert made == {
        "UV_SYSTEM_CERTS": "1",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://user:secret@mirror.example/simple",
        "UV_INDEX": "https://second.example/simple https://third.example/simple",
        "UV_FIND_LINKS": "/wheels,/more-wheels",
        "UV_INSECURE_HOST": "pypi.example",
        "SSL_CERT_FILE": "/etc/ssl/company.pem",
    }
    assert options["retries"] == "2"


def test_every_translated_variable_is_one_that_uv_reads() -> None:
    names = {name for name in _install()._VARIABLES.values() if name.startswith("UV_")}
    program = subprocess.run(
        [sys.executable, "-c", "import uv; print(uv.find_uv_bin())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    content = Path(program).read_bytes()
    assert [name for name in names if name.encode() not in content] == []


def _run(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environment = {"PIP_CONFIG_FILE": os.devnull, "UV_CACHE_DIR": str(folder / "cache"), **environment}
    return subprocess.run(
        [sys.executable, SCRIPT, "--target", folder / "target", *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _wheel(folder: Path) -> str:
    """A package of one module as a wheel in ``folder``; its line in a lock."""
    folder.mkdir()
    files = {
        "one_module.py": "",
        "one_module-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: one-module\nVersion: 1.0\n",
        "one_module-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    path = folder / "one_module-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, "one_module-1.0.dist-info/RECORD": record}.items():
            wheel.writestr(name, text)
    return f"one-module==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.mark.parametrize("honest", [True, False])
def test_without_a_network_a_folder_of_wheels_is_enough_if_the_hashes_agree(tmp_path: Path, honest: bool) -> None:
    lock = tmp_path / "lock.txt"
    line = _wheel(tmp_path / "wheels")
    lock.write_text(line if honest else re.sub("sha256:.{8}", "sha256:00000000", line))
    folder = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    done = _run(tmp_path, folder, "--require-hashes", "-r", str(lock))
    assert (tmp_path / "target" / "one_module.py").exists() is honest
    assert done.returncode == (0 if honest else 1)
    assert ("Installed 1 package" if honest else "Hash mismatch") in done.stderr


def test_an_index_that_cannot_be_reached_is_named_without_its_password_and_with_the_cure(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(_wheel(tmp_path / "wheels"))
    index = {"PIP_INDEX_URL": "http://user:secret@127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    done = _run(tmp_path, index, "--require-hashes", "-r", str(lock))
    assert done.returncode == 1
    assert "Asked, as pip is configured to: 127.0.0.1." in done.stderr
    assert "PIP_INDEX_URL=https://..." in done.stderr
    assert "secret" not in done.stderr


def test_there_is_one_uv_in_a_lock_of_its_own() -> None:
    locks = {
        path.name: re.findall(r"^([\w.-]+)(?:\[.*\])?==", path.read_text(), re.MULTILINE)
        for path in (ROOT / "requirements").glob("*.txt")
    }
    assert locks["uv.txt"] == ["uv"]
    assert [name for name, packages in locks.items() if "uv" in packages] == ["uv.txt"]
    makefile = (ROOT / "Makefile").read_text()
    for target in ("audit", "lock"):
        (parts,) = re.findall(rf"^{target}:.*\n\t@for part in (.*); do", makefile, re.MULTILINE)
        assert {f"{part}.txt" for part in parts.split()} == set(locks)
