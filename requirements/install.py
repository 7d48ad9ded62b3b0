"""Install locked packages into this interpreter's environment with the locked uv: ``install.py ARGUMENTS``.

``ARGUMENTS`` are those of ``uv pip install``. It runs before any package is there: the standard library only. uv does
not read pip's configuration, so that a mirror, a proxy or a folder of wheels that pip was given is translated for it
(``docs/decisions/1460-uv-installs-the-locks.md``).
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import queue
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOCK = Path(__file__).with_name("uv.txt")
# An environment that uv made has no pip of its own: that of the interpreter below it.
_HAS_PIP = sys.executable if importlib.util.find_spec("pip") else str(Path(sys.base_prefix) / "bin" / "python3")
PIP = [_HAS_PIP, "-m", "pip", "--python", sys.executable, "--disable-pip-version-check", "--no-input"]
SECONDS_BETWEEN_LINES = 5.0
_TRUE = ("1", "true", "yes", "on")
_SECTIONS = ("global", "install", ":env:")  # a later one wins

_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "keyring-provider": "UV_KEYRING_PROVIDER",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
_LISTS = {"extra-index-url": " ", "find-links": ",", "trusted-host": " "}


def pip_options(listed: str) -> dict[str, str]:
    """Option -> value as ``pip install`` would take it, from what ``pip config list`` prints.

    The environment wins over the section of the command, and that over the global one.
    """
    found: dict[tuple[int, str], str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in _SECTIONS:
            found[_SECTIONS.index(section), option] = str(ast.literal_eval(value))
    return {option: found[place, option] for place, option in sorted(found)}


def uv_environment(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that make uv ask where pip would ask; one that is set already stays."""
    # As pip does: certificates that the machine trusts; the best version of all indexes. The locks' hashes decide
    # what is taken, so that no index can replace a package of another.
    made = {"UV_SYSTEM_CERTS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match"}
    for option, variable in _VARIABLES.items():
        if value := options.get(option):
            made[variable] = _LISTS[option].join(value.split()) if option in _LISTS else value
    return {name: value for name, value in made.items() if name not in environment}


def main(arguments: list[str]) -> int:
    """Exit code of the installation; its progress and errors are on standard error."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False).stdout
    options = pip_options(listed)
    if not _has_locked_uv() and not _ends_well([*PIP, "--quiet", "install", "--require-hashes", "-r", str(LOCK)], {}):
        return _failed(options)
    no_index = ["--no-index"] if options.get("no-index", "").lower() in _TRUE else []
    command = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, *no_index, *arguments]
    return 0 if _ends_well(command, uv_environment(options, os.environ)) else _failed(options)


def _has_locked_uv() -> bool:
    try:
        return f"uv=={importlib.metadata.version('uv')} " in LOCK.read_text(encoding="utf-8")
    except importlib.metadata.PackageNotFoundError:
        return False


def _ends_well(command: list[str], environment: Mapping[str, str]) -> bool:
    """Whether the command ends with 0; what it is doing is shown while it works, all that it said if it does not."""
    began = time.monotonic()
    live = sys.stderr.isatty()
    said: list[str] = []
    downloading: dict[str, str] = {}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        for line in _lines(process, 1.0 if live else SECONDS_BETWEEN_LINES):
            if found := re.match(r" *Downloading (\S+) \((.+)\)", line):
                downloading[found[1]] = found[2]
            elif found := re.match(r" *(?:Downloaded|Built) (\S+)", line):
                downloading.pop(found[1], None)
            elif line and not re.match(r" [+~-] ", line):  # each of the packages: their number is said as well
                said.append(line)
            if not line:
                _show(f"{time.monotonic() - began:4.0f} s  {_state(downloading)}", live)
    if live:
        sys.stderr.write("\r\x1b[K")
    for line in said if process.returncode else [line for line in said if line.startswith("Installed")]:
        sys.stderr.write(f"    {line}\n")
    return not process.returncode


def _lines(process: subprocess.Popen[str], seconds: float) -> Iterator[str]:
    """What the process says on standard error; an empty line each time that ``seconds`` have passed."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in process.stderr or ():
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    due = time.monotonic() + seconds
    while True:
        try:
            line = lines.get(timeout=max(0.0, due - time.monotonic()))
        except queue.Empty:
            due += seconds
            yield ""
            continue
        if line is None:
            return
        if line:
            yield line


def _state(downloading: Mapping[str, str]) -> str:
    if not downloading:
        return "installing"
    shown = [f"{name} ({size})" for name, size in list(downloading.items())[:2]]
    more = f" and {len(downloading) - 2} more" if len(downloading) > 2 else ""
    return f"downloading {', '.join(shown)}{more}"


def _show(state: str, live: bool) -> None:
    sys.stderr.write(f"\r\x1b[K    {state[:74]}" if live else f"    {state}\n")
    sys.stderr.flush()


def _failed(options: Mapping[str, str]) -> int:
    asked = [options.get("index-url", "the public package index"), *options.get("extra-index-url", "").split()]
    places = [] if options.get("no-index", "").lower() in _TRUE else asked
    # Without user and password, which an address may hold.
    names = [urlsplit(place).hostname or urlsplit(place).path for place in places]
    names += options.get("find-links", "").split()
    sys.stderr.write(
        f"The packages could not be installed. Asked, as pip is configured to: {', '.join(names) or 'nothing'}.\n"
        "Without a network, name a mirror (PIP_INDEX_URL=https://..., or index-url in pip.conf) or a folder of wheels\n"
        "(PIP_NO_INDEX=1 PIP_FIND_LINKS=/folder), then run the same again: what was downloaded is not fetched again.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
