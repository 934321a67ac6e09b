from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "corral/web/dist/index.html" in names
    with zipfile.ZipFile(wheel) as held:
        page = held.read("corral/web/dist/index.html").decode()
    scripts = {name.removeprefix("corral/web/dist/") for name in names if name.endswith((".js", ".css", ".svg"))}
    assert len([name for name in scripts if name in page]) == 3
    assert {f"corral/web/dist/{name}.gz" for name in scripts} <= names
    assert [name for name in names if "node_modules" in name] == []
