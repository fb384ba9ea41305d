"""The other systems, each in a virtual environment of its own, and the slide they all read."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PATCH_PX = 96

_REQUIREMENTS = {
    # WSInfer names no upper limits, and doesn't import with the zarr and tiffslide of today.
    "wsinfer": ["wsinfer==0.6.1", "zarr<3", "tiffslide<3", "openslide-python", "openslide-bin", "torch", "torchvision"],
    "tiatoolbox": ["tiatoolbox==2.1.3"],
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are. home: of the environments; shared: folder of real data, None where there is none."""

    home: Path
    shared: Path | None

    @property
    def wsinfer(self) -> Path:
        return self.home / "wsinfer" / "bin" / "wsinfer"

    @property
    def tiatoolbox_python(self) -> Path:
        return self.home / "tiatoolbox" / "bin" / "python"

    @property
    def network(self) -> Path:
        """Folder of model.pt and config.json."""
        return self.home / "network"


def find_place() -> Place:
    """$NODESCAN_PEERS or ~/.cache/nodescan-peers, and $NODESCAN_SHARED or ../shared."""
    home = Path(os.environ.get("NODESCAN_PEERS") or Path.home() / ".cache" / "nodescan-peers")
    candidates = (os.environ.get("NODESCAN_SHARED"), REPOSITORY.parent / "shared")
    shared = next((Path(folder) for folder in candidates if folder and (Path(folder) / "data").is_dir()), None)
    return Place(home, shared)


def set_up(place: Place) -> None:
    """Make what isn't there yet: both environments, the network, and an answer for WSInfer's registry."""
    setup = place.shared / "tools" / "peers" / "setup.sh" if place.shared else None
    if setup and setup.is_file():
        _run("bash", setup, place.home)
    else:
        for name, wanted in _REQUIREMENTS.items():
            folder = place.home / name
            if not (folder / "bin" / name).exists():
                _run(sys.executable, "-m", "venv", folder)
                _run(folder / "bin" / "pip", "install", "--quiet", *wanted)
    # WSInfer asks a registry on the network as it starts, even for a network of one's own.
    registry = Path.home() / ".wsinfer-zoo" / "wsinfer-zoo-registry.json"
    if not registry.exists():
        registry.parent.mkdir(parents=True, exist_ok=True)
        entry = {"description": "stands in", "hf_repo_id": "local/none", "hf_revision": "main"}
        registry.write_text(json.dumps({"models": {"none": entry}}))
    if not (place.network / "config.json").is_file():
        program = REPOSITORY / "tests" / "peers" / "write_network.py"
        _run(place.wsinfer.with_name("python"), program, place.network, str(PATCH_PX))


def make_slide(place: Place, folder: Path) -> Path:
    """The composite slide of the targets, or a phantom with the same deposits where there are no real patches."""
    composite, phantom = folder / "composite.tif", folder / "phantom.tif"
    if place.shared is None:
        if not phantom.is_file():
            program = "import sys; from nodescan.cli import main; sys.exit(main())"
            sizes = ["--diameters-um", "150,900,2600", "--spacing", "0.486", "--seed", "1"]
            _run(sys.executable, "-c", program, "phantom", phantom, *sizes)
        return phantom
    if not composite.is_file():
        program, patches = place.shared / "tools" / "make_composite_slide.py", place.shared / "data/pcam/valid.zip"
        words = ["--node-mm", "6x8", "--zoom", "2", "--seed", "1", "--diameters-um", "150,900,2600"]
        _run(sys.executable, program, "--patches", patches, "--out", composite, *words)
    return composite


def _run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True)
