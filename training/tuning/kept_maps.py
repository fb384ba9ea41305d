"""Maps of slides as a scan would make them, kept with the network's answers, so that no slide is answered twice."""

import copy
import hashlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.batch.progress import Viewer
from nodescan.config import load_config
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.report import RESULT_VERSION
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.examination import examine
from nodescan.examination.tile_batches import TileReader
from nodescan.examination.tile_plan import plan
from nodescan.inference.card import ModelCard
from nodescan.interfaces import ApproximatePredictor, TilePredictor
from nodescan.overview import overview_and_tissue
from nodescan.slides import open_slide
from nodescan.whole_files import written_beside
from training.patches.labelled import ARRAY_ERRORS

_HEX = 12
"""Characters of a sha256 in a name, as in the names of reports."""

_KEY_BYTES = 16
"""Of a tile's digest: two of a million tiles have the same one in less than one of 10^26 cases."""


def maps_of(card: ModelCard, work: Path) -> Path:
    """The folder of what this card's network answered, whatever decision stands on the card."""
    return work / "maps" / card.network_sha256()[:_HEX]


def probability_map(path: Path, predictor: TilePredictor, *, cache: Path) -> ProbabilityMap:
    """The map of one slide as a scan would make it; kept in `cache`, the folder that maps_of() names for its network.

    It depends on the slide's content, settings, result version and precision. Where float32 answers some cells again it
    depends on the decision, too, which tells which; the fast answers don't, so they are kept apart and used again.
    """
    config = load_config(None)
    settings = config.settings
    with closing(open_slide(SlideRef(path.stem, path))) as slide:
        made_of = f"{path.stem}-{slide.fingerprint()[:_HEX]}-{predictor.precision.partition(' ')[0]}-v{RESULT_VERSION}"
        kept = cache / f"{made_of}-{config.sha256[:_HEX]}{_decision(predictor)}.npz"
        arrays = _kept_arrays(kept, "values", "examined", "spacing")
        if arrays is not None:
            values, examined, spacing = arrays
            own = Spacing(*spacing.reshape(2).tolist())
            return ProbabilityMap(values.astype(np.float32), examined.astype(np.bool_), own, slide.info.bounds_um)
        _, tissue = overview_and_tissue(slide, settings)
        reader = TileReader(slide, plan(slide, tissue, predictor))
        answers = _KeptAnswers(cache / f"{made_of}-tiles.npz", predictor)
        map_ = examine(reader, predictor=answers.predictor, settings=settings, progress=Viewer()).probability
    _keep(kept, values=map_.values, examined=map_.examined, spacing=np.array([map_.spacing.x, map_.spacing.y]))
    answers.keep()
    return map_


def _decision(predictor: TilePredictor) -> str:
    """What tells maps apart in which float32 answered what bears on a finding; "" where one network answered all."""
    if not isinstance(predictor, ApproximatePredictor):
        return ""
    return f"-{hashlib.sha256(repr(predictor.decision).encode()).hexdigest()[:_HEX]}"


class _KeptAnswers:
    """A predictor's answers to the tiles of one slide, by the tiles' pixels; those in the file are not asked again.

    predictor: the one that was given, but for where its answers come from.
    """

    def __init__(self, file: Path, predictor: TilePredictor) -> None:
        self._file, self._ask = file, predictor.start
        kept = _kept_arrays(file, "keys", "answers")
        cells = predictor.geometry.cells
        fits = kept is not None and kept[1].shape[1:] == (cells, cells) and len(kept[0]) == len(kept[1])
        self._known = (
            dict(zip((key.tobytes() for key in kept[0]), kept[1], strict=True)) if kept is not None and fits else {}
        )
        self._is_new = False
        self.predictor = copy.copy(predictor)
        self.predictor.start = self._start  # type: ignore[method-assign]

    def keep(self) -> None:
        """Write them, unless all came from the file."""
        if self._is_new:
            keys = np.frombuffer(b"".join(self._known), dtype=np.uint8).reshape(-1, _KEY_BYTES)
            _keep(self._file, keys=keys, answers=np.stack(list(self._known.values())))

    def _start(self, tiles: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        keys = [hashlib.blake2b(tile.tobytes(), digest_size=_KEY_BYTES).digest() for tile in tiles]
        if all(key in self._known for key in keys):
            return lambda: np.stack([self._known[key] for key in keys])
        waited = self._ask(tiles)  # all of them: the network is fed as in a scan

        def answers() -> NDArray[np.float32]:
            found = waited()
            self._known.update(zip(keys, found.copy(), strict=True))  # lanes may write their next answers there
            self._is_new = True
            return found

        return answers


def _keep(file: Path, **arrays: NDArray[np.generic]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(file) as part, part.open("wb") as opened:
        np.savez(opened, **arrays)  # type: ignore[arg-type]


def _kept_arrays(file: Path, *names: str) -> list[NDArray[np.generic]] | None:
    """Arrays of a kept file; None where it is missing or damaged: it is made anew."""
    with suppress(*ARRAY_ERRORS), np.load(file) as stored:
        return [stored[name] for name in names]
    return None
