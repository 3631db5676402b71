"""Debian packages without root and without installing anything: downloaded by apt-get, unpacked by dpkg-deb."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from drag_rl.errors import InputError

COMMAND_TIMEOUT_S = 900


class DebianPackages:
    """Downloads packages to a work folder, with package lists of its own if the system's are missing or out of date."""

    def __init__(self, work: Path, advice: str) -> None:
        """``advice`` ends every error message. Raises ``InputError`` if the tools are missing."""
        self._work = work.resolve()
        self._advice = advice
        self._lists = self._work / "apt"
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise InputError(f"{tool} is not installed here; {advice}")

    def with_dependencies(self, packages: Sequence[str]) -> list[str]:
        """The packages and all that they need and the system does not have; raises ``InputError``."""
        planned = self._apt_get(["-s", "--no-install-recommends", "install", *packages])
        return list(dict.fromkeys([*packages, *re.findall(r"^Inst (\S+)", planned, re.MULTILINE)]))

    def download(self, package: str) -> Path:
        """The package's file, in the work folder; raises ``InputError``."""
        self._apt_get(["download", package])
        found = sorted(self._work.glob(f"{package}_*.deb"))
        if not found:
            raise InputError(f"package {package} was not downloaded; {self._advice}")
        return found[-1]

    def unpack(self, deb: Path, folder: Path) -> str:
        """Unpack a file that was downloaded; returns the package's version. Raises ``InputError``."""
        self._run(["dpkg-deb", "-x", str(deb), str(folder)])
        return self._run(["dpkg-deb", "-f", str(deb), "Version"]).strip()

    def _apt_get(self, arguments: Sequence[str]) -> str:
        if not self._lists.exists():
            try:
                return self._run(["apt-get", *arguments])
            except InputError:
                (self._lists / "lists" / "partial").mkdir(parents=True)
                (self._lists / "archives" / "partial").mkdir(parents=True)
                self._run(["apt-get", *self._options(), "update"])
        return self._run(["apt-get", *self._options(), *arguments])

    def _options(self) -> list[str]:
        settings = {
            "Dir::State::lists": self._lists / "lists",
            "Dir::Cache": self._lists,
            "Dir::Cache::archives": self._lists / "archives",
            "APT::Sandbox::User": "root",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def _run(self, command: Sequence[str]) -> str:
        try:
            done = subprocess.run(
                command, cwd=self._work, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=True
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"{command[0]} did not finish in {COMMAND_TIMEOUT_S} s; {self._advice}"
            ) from error
        except subprocess.CalledProcessError as error:
            said = [line for line in error.stderr.splitlines() if line.startswith("E:")] or [error.stderr]
            what = f"{command[0]} {command[-1]} failed: {said[-1].strip()}"
            raise InputError(f"{what}; check the network or {self._advice}") from error
        return done.stdout
