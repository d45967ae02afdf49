"""Where the shipped data folders (schema/, ldif/) lie: beside the sources, or inside the installed package."""

from __future__ import annotations

from pathlib import Path


def data_folder(name: str) -> Path:
    """The folder `schema` or `ldif`. Raises FileNotFoundError when the installation is incomplete."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / name, here / f"_{name}"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the installation lacks its {name}/ folder; install gatepost again")
