"""The build backend (PEP 517): setuptools', with one rule added. A wheel is compiled to C where it can be.

It can be where there is a C compiler and Python's header files. `CLERESTORY_COMPILE=0` builds the wheel without
compiling, `CLERESTORY_COMPILE=1` insists. An editable installation is not compiled unless it is 1: compiled modules
would stand in front of the sources that are edited.
"""

import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = Mapping[str, str | list[str] | None] | None


def can_compile() -> bool:
    """Whether there are a C compiler ($CC, or the one that Python was built with) and Python's header files."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is not None and (Path(sysconfig.get_path("include")) / "Python.h").is_file()


def _decide() -> None:
    os.environ.setdefault("CLERESTORY_COMPILE", "1" if can_compile() else "0")


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What has to be installed for `build_wheel`: mypyc too, where it compiles."""
    _decide()
    return build_meta.get_requires_for_build_wheel(config_settings)


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build the wheel into `wheel_directory`; return its file name."""
    _decide()
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
