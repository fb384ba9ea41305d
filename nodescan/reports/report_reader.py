"""Reads report.json back: what staging and evaluation need of a slide that was scanned before."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import shapely

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import Asked, Flag, ModelIdentity, Provenance, SlideReport, Status
from nodescan.domain.slide import BoundsUm, SlideInfo, SlideRef
from nodescan.domain.units import Micrometers, MicronsPerPixel, Spacing, SquareMicrometers
from nodescan.errors import UsageError
from nodescan.reports.files import json_bytes
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON
from nodescan.reports.json_report import REPORT_JSON, SCHEMA_VERSION, report_as_json
from nodescan.reports.made_with import MadeWith, made_with

_CLASSES: Mapping[str, Metastasis] = {found.word: found for found in Metastasis}
_DEPOSIT_NAME = re.compile(r"Deposit (\d+)")


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One report.json. deposits: without their outlines, see `read_deposit_shapes`.

    size_px, spacing: of level 0; bounds_um: left and top of the scanned part on the canvas. made_with: None where no
    network judged it. fingerprint: of the slide file; "" where none was read. found_from_um: see ModelIdentity. place:
    of the file's path; "" where no run made the report.
    """

    folder: Path
    slide_id: str
    status: Status
    metastasis: Metastasis | None
    at_least: bool
    deposits: tuple[Deposit, ...]
    flags: tuple[Flag, ...]
    tumour_probability: float | None = None
    size_px: tuple[int, int] | None = None
    spacing: Spacing | None = None
    bounds_um: tuple[float, float] = (0.0, 0.0)
    made_with: MadeWith | None = None
    fingerprint: str = ""
    found_from_um: float | None = None
    place: str = ""

    @property
    def largest_deposit_um(self) -> Micrometers | None:
        return max((deposit.diameter_um for deposit in self.deposits), default=None)


def read_reports(folder: Path) -> tuple[StoredReport, ...]:
    """Every report of a run's folder, by slide_id. Raises UsageError where there is none, or one is damaged."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name the --out folder of a run")
    found = [read_report(path) for path in sorted(folder.glob(f"*/{REPORT_JSON}")) if path.parent.name[0] != "."]
    if not found:
        raise UsageError(f"{folder}: holds no reports (<slide_id>/{REPORT_JSON}); name the --out folder of a run")
    by_id: dict[str, StoredReport] = {}
    for report in found:
        other = by_id.setdefault(report.slide_id, report)
        if other is not report:
            raise UsageError(
                f"{report.folder.name} and {other.folder.name}: both report slide {report.slide_id!r}; remove the copy"
            )
    return tuple(found)


def read_report(path: Path) -> StoredReport:
    """The report at `path`. Raises UsageError, naming file and problem, where it isn't one of this schema."""
    name = f"{path.parent.name}/{path.name}"
    try:
        return _report(path.parent, _content(path))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{name}: is damaged ({type(error).__name__}: {error}); run the slide again") from error


def _content(path: Path) -> Mapping[str, Any]:
    """What stands in the file. Raises UsageError where it is no report of this schema version."""
    name = f"{path.parent.name}/{path.name}"
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{name}: can't be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: is no JSON ({error}); run the slide again") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{name}: is no report of schema version {SCHEMA_VERSION} (found {version!r})")
    return content


def read_again(path: Path, slide: SlideRef) -> SlideReport:
    """The report at `path` as it was when it was written: see ReportFile.report_of."""
    return ReportFile(path).report_of(slide)


class ReportFile:
    """One report.json, read once: what is asked of it piece by piece before it may stand for a new scan."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError where it is no report of this schema version."""
        self._name, self._content = f"{path.parent.name}/{path.name}", _content(path)

    @property
    def result_version(self) -> int:
        """The result version that it was made by; 0 where it names none."""
        provenance = self._content.get("provenance")
        version = provenance.get("result_version", 0) if isinstance(provenance, dict) else 0
        return version if isinstance(version, int) else 0

    def report_of(self, slide: SlideRef) -> SlideReport:
        """The report of `slide` as it was when it was written, without outlines and detections.

        Raises UsageError where it isn't whole: writing what was read must give the same file.
        """
        content = self._content
        try:
            report = _slide_report(content, slide)
            same = report_as_json(report)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{self._name}: is damaged ({type(error).__name__}: {error}); run the slide again"
            ) from error
        wrong = sorted(key for key in (content.keys() | same.keys()) - {"files"} if content.get(key) != same.get(key))
        if wrong:
            raise UsageError(f"{self._name}: {', '.join(wrong)}: not as this version writes it; run the slide again")
        return report

    def files_beside(self) -> Mapping[str, int]:
        """Name -> bytes of what it says was written with it. Raises UsageError where it doesn't say."""
        found = self._content.get("files")
        if not isinstance(found, dict) or not all(isinstance(size, int) for size in found.values()):
            raise UsageError(f"{self._name}: files: is no list of sizes; run the slide again")
        return found


def as_stored(report: SlideReport, folder: Path) -> StoredReport:
    """A report as reading it back from `folder` would give it, whether or not it was written."""
    return _report(folder, json.loads(json_bytes(report_as_json(report))))


def read_deposit_shapes(report: StoredReport) -> Mapping[int, shapely.Geometry] | None:
    """Deposit id -> outline in um from the canvas' top left; None where deposits.geojson was not written.

    Raises UsageError where the file is damaged.
    """
    path = report.folder / DEPOSITS_GEOJSON
    if report.spacing is None or not path.is_file():
        return None
    scale, shift = np.array([report.spacing.x, report.spacing.y]), np.array(report.bounds_um)
    try:
        features = json.loads(path.read_bytes())["features"]
        return {
            _deposit_number(feature): shapely.transform(
                shapely.geometry.shape(feature["geometry"]), lambda points: points * scale + shift
            )
            for feature in features
        }
    except (OSError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        raise UsageError(f"{path.parent.name}/{path.name}: is damaged ({error}); run the slide again") from error


def _deposit_number(feature: Mapping[str, Mapping[str, str]]) -> int:
    found = _DEPOSIT_NAME.fullmatch(feature["properties"]["name"])
    if found is None:
        raise ValueError(f"{feature['properties']['name']!r} names no deposit")
    return int(found[1])


def _report(folder: Path, content: Mapping[str, object]) -> StoredReport:
    status, word = Status(cast("str", content["status"])), cast("str | None", content["metastasis"])
    metastasis = None if word is None else _CLASSES[word]
    if metastasis is Metastasis.NONE and status is not Status.COMPLETE:
        raise ValueError(f"a slide that is {status.value} is called negative")
    deposits = cast("Sequence[Mapping[str, object]]", content["deposits"])
    flags = cast("Sequence[Mapping[str, str]]", content["flags"])
    model = cast("Mapping[str, Any] | None", content["model"])
    found_from = None if model is None else model.get("found_from_um")
    size = cast("Sequence[int] | None", content["size_px"])
    spacing = cast("Sequence[float] | None", content["spacing_um"])
    bounds = cast("Mapping[str, float] | None", content["bounds_um"])
    score = content["tumour_probability"]
    provenance = cast("Mapping[str, Any]", content["provenance"] or {})
    return StoredReport(
        folder=folder,
        slide_id=cast("str", content["slide_id"]),
        status=status,
        metastasis=metastasis,
        at_least=bool(content["at_least"]),
        deposits=tuple(_deposit(deposit) for deposit in deposits),
        flags=tuple(Flag(flag["code"], flag["message"]) for flag in flags),
        tumour_probability=None if score is None else _finite(score),
        size_px=None if size is None else (int(size[0]), int(size[1])),
        spacing=None if spacing is None else Spacing(*(MicronsPerPixel(_finite(side)) for side in spacing)),
        bounds_um=(0.0, 0.0) if bounds is None else (_finite(bounds["left"]), _finite(bounds["top"])),
        made_with=made_with(content),
        fingerprint=provenance.get("slide_fingerprint", ""),
        found_from_um=None if found_from is None else _finite(found_from),
        place=(provenance.get("asked") or {}).get("slide_place", ""),
    )


def _slide_report(content: Mapping[str, Any], slide: SlideRef) -> SlideReport:
    """What report_as_json wrote of a report. Raises ValueError and its kin on anything else."""
    stored, model, analysis = _report(Path(), content), content["model"], content["analysis_spacing_um"]
    if stored.slide_id != slide.slide_id:
        raise ValueError(f"it reports slide {stored.slide_id!r}")
    return SlideReport(
        slide=slide,
        status=stored.status,
        metastasis=stored.metastasis,
        at_least=stored.at_least,
        deposits=stored.deposits,
        tumour_probability=stored.tumour_probability,
        tissue_area_mm2=content["tissue_area_mm2"],
        examined_fraction=content["examined_fraction"],
        flags=stored.flags,
        info=None if content["size_px"] is None else _info(content),
        analysis_spacing=None if analysis is None else Spacing(*analysis),
        model=None if model is None else ModelIdentity(**model),
        provenance=None if content["provenance"] is None else _provenance(content["provenance"]),
        unread_fraction=content["unread_fraction"],
    )


def _info(content: Mapping[str, Any]) -> SlideInfo:
    """Format and reader are not in the file."""
    width_px, height_px = content["size_px"]
    spacing, bounds = Spacing(*content["spacing_um"]), BoundsUm(**content["bounds_um"])
    return SlideInfo("", "", width_px, height_px, spacing, content["spacing_source"], bounds)


def _provenance(content: Mapping[str, Any]) -> Provenance:
    asked = content["asked"]
    return Provenance(
        **{**content, "asked": None if asked is None else Asked(**{**asked, "reports": tuple(asked["reports"])})}
    )


def _deposit(content: Mapping[str, object]) -> Deposit:
    cells, mean, highest = content["cell_count"], content["probability_mean"], content["probability_max"]
    cells_uncertainty = content.get("cell_count_uncertainty")  # reports of earlier versions have none
    start, end = cast("Sequence[Sequence[float]]", content["endpoints_um"])
    return Deposit(
        id=int(cast("int", content["id"])),
        diameter_um=Micrometers(_finite(content["diameter_um"])),
        diameter_uncertainty_um=Micrometers(_finite(content["diameter_uncertainty_um"])),
        endpoints_um=(_point(start), _point(end)),
        area_um2=SquareMicrometers(_finite(content["area_um2"])),
        centre_um=_point(cast("Sequence[float]", content["centre_um"])),
        metastasis=_CLASSES[cast("str", content["class"])],
        outline=(),
        probability_mean=None if mean is None else _finite(mean),
        probability_max=None if highest is None else _finite(highest),
        cells=None if cells is None else int(cast("int", cells)),
        cells_uncertainty=None if cells_uncertainty is None else int(cast("int", cells_uncertainty)),
    )


def _point(pair: Sequence[float]) -> tuple[float, float]:
    x, y = pair
    return _finite(x), _finite(y)


def _finite(value: object) -> float:
    """A number of the file; JSON written elsewhere may hold text, NaN or infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
