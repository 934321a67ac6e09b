from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = "corral/web/dist/"


def built(target: str, source: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)  # noqa: S603
    (found,) = folder.iterdir()
    return found


def test_the_page_is_in_the_wheel(tmp_path: Path) -> None:
    with zipfile.ZipFile(built("wheel", ROOT, tmp_path)) as wheel:
        names = set(wheel.namelist())
        page = wheel.read(f"{PLACE}index.html").decode()
    scripts = {name.removeprefix(PLACE) for name in names if name.endswith((".js", ".css", ".svg"))}
    assert len([name for name in scripts if name in page]) == 3
    assert {f"{PLACE}{name}.gz" for name in scripts} <= names
    assert [name for name in names if "node_modules" in name] == []


def test_a_wheel_is_the_same_made_of_the_sdist_and_made_again(tmp_path: Path) -> None:
    sdist = built("sdist", ROOT, tmp_path / "sdist")
    shutil.unpack_archive(sdist, tmp_path / "source")
    (source,) = (tmp_path / "source").iterdir()
    wheels = [built("wheel", one, tmp_path / name) for one, name in ((ROOT, "direct"), (source, "of-the-sdist"))]
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
