"""Small composite slides for the tests: drawn tissue, round deposits of known place, outlines made from that truth."""

import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.slide import SlideRef
from nodescan.slides import open_slide
from training.camelyon.manifest import DataSlide, write_data_manifest
from training.slides.index import read_index, write_index

SPACING_UM = 0.972
ZOOM = 2
"""Level 0 is this much finer than the analysis frame."""
SIDE_PX = 896
"""Of a slide's analysis frame."""


@dataclass(frozen=True)
class Disc:
    """A deposit, in pixels of the analysis frame."""

    x_px: float
    y_px: float
    radius_px: float


def texture(tumour: bool, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 (SIDE_PX, SIDE_PX, 3): a few small nuclei on eosin, or many large ones where it is tumour."""
    grain = ndimage.gaussian_filter(rng.standard_normal((SIDE_PX, SIDE_PX)), 3.0 if tumour else 1.3)
    nuclei = (grain > (-0.3 if tumour else 1.6) * grain.std())[..., None]
    stain = np.array([110, 70, 150])
    noise = rng.normal(0, 5, (SIDE_PX, SIDE_PX, 1))
    return np.clip(np.where(nuclei, stain, [185, 115, 160]) + noise, 0, 255).astype(np.uint8)


def write_slide(path: Path, discs: tuple[Disc, ...], seed: int) -> NDArray[np.bool_]:
    """A pyramidal TIFF of a node with round deposits; returns its truth, bool (SIDE_PX, SIDE_PX)."""
    rng = np.random.default_rng(seed)
    y, x = np.arange(SIDE_PX)[:, None] + 0.5, np.arange(SIDE_PX) + 0.5
    canvas = np.full((SIDE_PX, SIDE_PX, 3), 242, np.uint8)
    node = np.hypot(y - SIDE_PX / 2, x - SIDE_PX / 2) < 0.44 * SIDE_PX
    canvas[node] = texture(False, rng)[node]
    truth = np.zeros((SIDE_PX, SIDE_PX), bool)
    for disc in discs:
        truth |= np.hypot(y - disc.y_px, x - disc.x_px) < disc.radius_px
    canvas[truth] = texture(True, rng)[truth]
    write_pyramid(path, canvas.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1), canvas)
    return truth


def write_pyramid(path: Path, finest: NDArray[np.uint8], analysed: NDArray[np.uint8]) -> None:
    """A TIFF of two levels, uint8 (H, W, 3) each: one ZOOM times as fine as the analysis frame, and that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level, (zoom, pixels) in enumerate(((ZOOM, finest), (1, analysed))):
            resolution = 1e4 / (SPACING_UM / zoom)
            file.write(
                np.ascontiguousarray(pixels),
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 90},
                resolution=(resolution, resolution),
                resolutionunit="CENTIMETER",
                subfiletype=level,
                metadata=None,
            )


def write_asap(path: Path, discs: tuple[Disc, ...]) -> None:
    """ASAP XML of the discs, level-0 pixels."""
    outlines = []
    for number, disc in enumerate(discs):
        angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
        points = zip(
            disc.x_px + disc.radius_px * np.cos(angles), disc.y_px + disc.radius_px * np.sin(angles), strict=True
        )
        corners = "".join(
            f'<Coordinate Order="{i}" X="{ZOOM * x:.4f}" Y="{ZOOM * y:.4f}"/>' for i, (x, y) in enumerate(points)
        )
        outlines.append(
            f'<Annotation Name="Annotation {number}" Type="Polygon" PartOfGroup="_0">'
            f"<Coordinates>{corners}</Coordinates></Annotation>"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<ASAP_Annotations><Annotations>{''.join(outlines)}</Annotations></ASAP_Annotations>")


DISCS: dict[str, tuple[Disc, ...]] = {
    "tumor_001": (Disc(300, 420, 110), Disc(600, 560, 60)),
    "tumor_002": (Disc(450, 330, 140),),
    "tumor_010": (Disc(420, 430, 120), Disc(620, 300, 50)),
    "normal_001": (),
    "normal_002": (),
    "normal_003": (),
}
"""What each slide holds. Of tumor_010, only the first deposit is outlined."""


def row_of(slide_id: str) -> DataSlide:
    """As the manifest of CAMELYON16 has it."""
    tumour, partly = bool(DISCS[slide_id]), slide_id == "tumor_010"
    return DataSlide(
        slide_id=slide_id,
        patient_id="",
        node_id="",
        centre="",
        key=f"CAMELYON16/images/{slide_id}.tif",
        checksum="",
        label="tumour" if tumour else "negative",
        annotation_key=f"CAMELYON16/annotations/{slide_id}.xml" if tumour else "",
        exhaustive=not partly,
        split="valid" if slide_id.endswith("2") else "train",
        excluded=False,
        why="annotation is not exhaustive" if partly else "",
    )


def write_data_set(folder: Path) -> Path:
    """All slides and outlines, laid out as in the bucket, and their manifest; returns the manifest's path."""
    rows = [row_of(slide_id) for slide_id in DISCS]
    for seed, row in enumerate(rows):
        discs = DISCS[row.slide_id]
        write_slide(folder / row.key, discs, seed)
        if discs:
            write_asap(folder / row.annotation_key, discs if row.exhaustive else discs[:1])
    write_data_manifest(rows, folder / "manifest.csv")
    return folder / "manifest.csv"


def replaced(index: Path, folder: Path, slide_id: str) -> Path:
    """Copies an index into a folder, where another slide lies under the name of one of its slides; returns its path."""
    shutil.copytree(index, folder, dirs_exist_ok=True)
    path = folder / f"{slide_id}.tif"
    write_slide(path, (), seed=99)
    rows = [replace(row, path=str(path)) if row.slide_id == slide_id else row for row in read_index(index)]
    write_index(rows, folder)
    return path


def spoilt(index: Path, folder: Path, slide_id: str) -> Path:
    """Copies an index into a folder, with one of its slides, of which the middle at SPACING_UM can't be decoded."""
    shutil.copytree(index, folder, dirs_exist_ok=True)
    rows = {row.slide_id: row for row in read_index(index)}
    path = Path(shutil.copy(rows[slide_id].path, folder / f"{slide_id}.tif"))
    with tifffile.TiffFile(path) as file:
        page = cast("tifffile.TiffPage", file.pages[1])
        across = SIDE_PX // 256 + 1
        number = across + 1  # holds the middle
        offset, length = page.dataoffsets[number], page.databytecounts[number]
    data = bytearray(path.read_bytes())
    data[offset + length // 4 : offset + length] = bytes(length - length // 4)
    path.write_bytes(data)
    with closing(open_slide(SlideRef(slide_id, path))) as slide:
        rows[slide_id] = replace(rows[slide_id], path=str(path), fingerprint=slide.fingerprint())
    write_index(rows.values(), folder)
    return path
