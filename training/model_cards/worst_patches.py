"""The patches that a model gets most wrong: their names and answers, and one picture of each kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.special import expit

from nodescan.streams import one_line
from training.patches.labelled import LABELLED_PX, Patches, label_centre_px

COLUMNS, ZOOM, CAPTION_PX, GAP_PX = 6, 2, 30, 8
_JPEG_QUALITY = 78
_WHITE, _BLACK, _FRAME = (255, 255, 255), (0, 0, 0), (255, 255, 0)
_FALSE_POSITIVES_JPG, _FALSE_NEGATIVES_JPG = "worst-false-positives.jpg", "worst-false-negatives.jpg"


@dataclass(frozen=True, slots=True)
class WorstPatch:
    """A wrong answer. name: the patch's file in its zip or folder, or its row; logit: above 0 is called tumour."""

    name: str
    tumour: bool
    logit: float

    @property
    def probability(self) -> float:
        """Of tumour, as it was answered."""
        return float(expit(self.logit))

    @property
    def cell(self) -> str:
        """The name as a table in Markdown can show it, whatever its signs."""
        name = one_line(self.name).replace("`", "'").replace("|", r"\|")
        return f"`{name}`"


def worst(logit: NDArray[np.float64], truth: NDArray[np.bool_], *, count: int = 12) -> tuple[list[int], list[int]]:
    """Indices of those called tumour and labelled normal, and of the reverse: at most `count` each, the worst first.

    logit : float64 (N,), on the wrong side of 0; truth : bool (N,).
    """
    order = np.argsort(logit, kind="stable")
    negative = [int(i) for i in order if truth[i] and logit[i] < 0][:count]
    positive = [int(i) for i in order[::-1] if not truth[i] and logit[i] > 0][:count]
    return positive, negative


def worst_of(patches: Patches, answers: NDArray[np.float64]) -> tuple[WorstPatch, ...]:
    """Those called tumour and labelled normal, then the reverse. answers : float64 (N,), logits of the patches."""
    positive, negative = worst(answers, np.asarray(patches.tumour))
    return tuple(
        WorstPatch(patches.names[i], bool(patches.tumour[i]), float(answers[i])) for i in (*positive, *negative)
    )


def write_sheets(patches: Patches, answers: NDArray[np.float64], folder: Path) -> tuple[Path, Path]:
    """Write a sheet of each kind of `worst`, and where. answers : float64 (N,), logits of the patches."""
    files = folder / _FALSE_POSITIVES_JPG, folder / _FALSE_NEGATIVES_JPG
    for path, chosen in zip(files, worst(answers, np.asarray(patches.tumour)), strict=True):
        write_sheet(contact_sheet(patches, chosen, answers), path)
    return files


def contact_sheet(patches: Patches, chosen: Sequence[int], logit: NDArray[np.float64]) -> Image.Image:
    """The chosen patches twice their size, each with its logit and label; a frame shows the 32 px a label speaks of.

    chosen: their indices; logit : float64 (N,), of all patches.
    """
    side = patches.pixels.shape[1] * ZOOM
    rows, columns = max(-(-len(chosen) // COLUMNS), 1), min(max(len(chosen), 1), COLUMNS)
    cell_width, cell_height = side + GAP_PX, side + CAPTION_PX + GAP_PX
    sheet = Image.new("RGB", (columns * cell_width + GAP_PX, rows * cell_height + GAP_PX), _WHITE)
    draw = ImageDraw.Draw(sheet)
    for place, index in enumerate(chosen):
        row, column = divmod(place, COLUMNS)
        left, top = GAP_PX + column * cell_width, GAP_PX + row * cell_height
        patch = Image.fromarray(np.ascontiguousarray(patches.pixels[index]))
        sheet.paste(patch.resize((side, side), Image.Resampling.BICUBIC), (left, top))
        first = (label_centre_px(patches.pixels.shape[1]) - LABELLED_PX // 2) * ZOOM
        last = first + LABELLED_PX * ZOOM
        draw.rectangle((left + first, top + first, left + last, top + last), outline=_FRAME)
        label = "tumour" if patches.tumour[index] else "normal"
        caption = f"logit {logit[index]:+.1f}, label {label}\n{Path(patches.names[index]).stem}"
        draw.multiline_text((left, top + side + 2), caption, fill=_BLACK)
    return sheet


def write_sheet(sheet: Image.Image, path: Path) -> None:
    """Save as a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "JPEG", quality=_JPEG_QUALITY, optimize=True)
