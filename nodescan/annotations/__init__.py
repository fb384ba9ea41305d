"""Reads outlines that pathologists drew: ASAP XML or QuPath GeoJSON."""

import math
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import cast
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import shapely
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from numpy.typing import NDArray

from nodescan.annotations.exclusions import cross_too_often, cut_out_whole, repaired, united, without
from nodescan.annotations.features import ROLES, Role, check_all, class_of, known_names, refuse_children
from nodescan.annotations.formats import ASAP_XML, GEOJSON, outline_format
from nodescan.annotations.stated import NOTHING, Stated, StatedSize, by_feature, stated_of
from nodescan.domain.naming import few, how_many
from nodescan.domain.units import plain_number
from nodescan.errors import AnnotationError
from nodescan.given_files import given_bytes
from nodescan.strict_json import strict_json


@dataclass(frozen=True, slots=True)
class Outlines:
    """tumour and excluded: valid polygons in level-0 px, x first, each united; notes: what the reader must know.

    ignored: what outlines enclose that say nothing, being in no group or to be ignored. shown_part: pixels count from
    what QuPath shows of the slide; see on_canvas(). stated: what the file says of each outline of tumour of which it
    says anything, as deposits.geojson does.
    """

    source: str
    tumour: shapely.MultiPolygon
    excluded: shapely.MultiPolygon
    notes: tuple[str, ...] = ()
    shown_part: bool = False
    ignored: shapely.MultiPolygon = shapely.MultiPolygon()  # noqa: RUF009  shapes can't be changed
    stated: tuple[StatedSize, ...] = ()

    def lesions(self) -> shapely.MultiPolygon:
        """The tumour with the exclusions cut out, last, as the organisers draw it."""
        return without(self.tumour, self.excluded)

    def on_canvas(self, shown_from_px: tuple[float, float]) -> "Outlines":
        """The outlines in px of the slide's whole canvas.

        shown_from_px: left and top, level-0 px, of the part that a file format calls the scanned one. QuPath shows that
        part alone, and its GeoJSON counts from there; ASAP shows the whole canvas.
        """
        if not self.shown_part or shown_from_px == (0.0, 0.0):
            return self
        shift = np.array(shown_from_px)
        moved = partial(shapely.transform, transformation=lambda xy: xy + shift)
        return replace(
            self,
            tumour=moved(self.tumour),
            excluded=moved(self.excluded),
            ignored=moved(self.ignored),
            stated=tuple(replace(size, outline=moved(size.outline)) for size in self.stated),
            shown_part=False,
        )


def read_outlines(path: Path) -> Outlines:
    """The outlines of an ASAP XML (.xml) or a GeoJSON (.geojson, .json) file.

    Raises AnnotationError, naming file and outline, for whatever can't be read or understood in full, and where all
    outlines of a file say nothing.
    """
    readers = {ASAP_XML: read_asap, GEOJSON: read_geojson}
    kind = outline_format(path)
    if kind is None:
        raise AnnotationError(
            f"{path.name}: outlines are read from .xml (ASAP) or .geojson (QuPath), not {path.suffix!r}"
        )
    return readers[kind](path)


def read_asap(path: Path) -> Outlines:
    """The outlines of an ASAP XML file. Raises AnnotationError, also for documents that declare entities."""
    try:
        root = fromstring(_bytes_of(path), forbid_dtd=True)
    except DefusedXmlException as error:
        raise AnnotationError(f"{path.name}: declares a document type or entities, which are not read") from error
    except (ParseError, ValueError, LookupError) as error:  # not well-formed, or in an encoding that isn't known
        raise AnnotationError(f"{path.name}: not XML ({error}); export it again from ASAP") from error
    if root.tag != "ASAP_Annotations":
        raise AnnotationError(
            f"{path.name}: is XML, but not of ASAP (root {root.tag!r}, not 'ASAP_Annotations'); export the outlines as "
            "GeoJSON, or as ASAP XML"
        )
    return _collected(path, _asap_pieces(path, root))


def read_geojson(path: Path) -> Outlines:
    """The outlines of a GeoJSON file as QuPath writes it: a FeatureCollection, a list of features or one feature.

    The class is properties.classification.name; a feature without one counts as tumour, and a note says so.
    Raises AnnotationError, also where features are no annotations, have others inside them, or lie in several planes.
    """
    document = _json_of(path)
    features = document.get("features", [document]) if isinstance(document, dict) else document
    if not isinstance(features, list):
        raise AnnotationError(f"{path.name}: no GeoJSON feature collection, nor a list of features; export it again")
    try:
        notes = check_all(path, features)
        outlines = _collected(path, _geojson_pieces(path, features))
        return replace(outlines, notes=(*outlines.notes, *notes), shown_part=True)
    except RecursionError as error:
        raise AnnotationError(f"{path.name}: is nested without end; export it again as GeoJSON") from error


def holds_geojson(path: Path) -> bool:
    """Whether a file is a FeatureCollection, a feature or a list of features: reports and records are .json, too.

    Not whether it can be read in full.
    """
    try:
        document = _json_of(path)
    except AnnotationError:
        return False
    features = document if isinstance(document, list) else [document]
    kinds = [feature.get("type") if isinstance(feature, dict) else None for feature in features]
    return kinds == ["FeatureCollection"] or (bool(kinds) and all(kind == "Feature" for kind in kinds))


@dataclass(frozen=True, slots=True)
class _Piece:
    """One outline as it stands in the file. rings: closed or not, the first is the outer one, none of what has no area;
    curved: a spline.

    said: of all outlines of this name together.
    """

    name: str
    group: str | None
    rings: tuple[NDArray[np.float64], ...]
    curved: bool = False
    said: Stated = NOTHING


MENDED, NO_TUMOUR = "with borders that cross, repaired with nothing cut off", "the file outlines no tumour"
"""Of the notes, those that leave the outlines as they were drawn."""

_REMARKS = (
    MENDED,
    "without a class, counted as tumour",
    "drawn as splines, read as straight lines from point to point",
)
_LEFT_OUT = "in no group, or to be ignored, left out"
_GONE = "of tumour in what is cut out of it, so that nothing is left of them"

FARTHEST_PX, _SHORTEST_PX = 1e7, 1e-3
"""Five times the side of the largest slides; an outline that is narrower both ways is a slip of the mouse."""


def _asap_pieces(path: Path, root: Element) -> Iterator[_Piece]:
    for number, annotation in enumerate(root.iter("Annotation")):
        name = f"annotation {annotation.get('Name') or number!r}"
        if sum(1 for _ in islice(annotation.iter("Annotation"), 2)) > 1:
            raise AnnotationError(f"{path.name}: {name} has another one inside it; export the file again from ASAP")
        kind = annotation.get("Type", "Polygon")
        group = annotation.get("PartOfGroup", "None")
        if ROLES.get(group.casefold()) is not Role.IGNORED and kind not in ("Polygon", "Rectangle", "Spline"):
            raise AnnotationError(f"{path.name}: {name} is a {kind}, which has no area; draw a polygon")
        corners = sorted(
            (tuple(_number(path, name, corner.get(key)) for key in ("Order", "X", "Y")))
            for corner in annotation.iter("Coordinate")
        )
        if any(one[0] == other[0] and one != other for one, other in pairwise(corners)):
            raise AnnotationError(f"{path.name}: {name} has two corners of one Order; number them as they follow")
        points = np.array(corners, dtype=np.float64).reshape(-1, 3)[:, 1:]
        yield _Piece(name, group, (points,), curved=kind == "Spline")


def _geojson_pieces(path: Path, features: Sequence[object]) -> Iterator[_Piece]:
    for number, feature in enumerate(features):
        name = f"feature {number}"
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise AnnotationError(f"{path.name}: {name} is no GeoJSON feature; export it again as GeoJSON")
        refuse_children(path, name, feature)
        geometry, group = feature.get("geometry"), class_of(path, name, feature)
        said = stated_of(path, name, feature, group)
        if not isinstance(geometry, dict):
            raise AnnotationError(f"{path.name}: {name} has no geometry; delete it, or export it again as GeoJSON")
        kind, coordinates = geometry.get("type"), geometry.get("coordinates")
        if kind not in ("Polygon", "MultiPolygon"):
            if group is not None and ROLES.get(group.casefold()) is Role.IGNORED:
                yield _Piece(name, group, ())
                continue
            raise AnnotationError(f"{path.name}: {name} is a {kind}, which has no area; draw a polygon")
        for polygon in [coordinates] if kind == "Polygon" else _list(path, name, coordinates) or [[]]:
            rings = tuple(_closed_ring(path, name, ring) for ring in _list(path, name, polygon))
            yield _Piece(name, group, rings, said=said)


def _closed_ring(path: Path, name: str, ring: object) -> NDArray[np.float64]:
    corners: list[tuple[float, float]] = []
    for corner in _list(path, name, ring):
        pair = _list(path, name, corner)
        if len(pair) < 2:
            raise AnnotationError(f"{path.name}: {name} has a corner without x and y; export it again as GeoJSON")
        corners.append((_number(path, name, pair[0]), _number(path, name, pair[1])))
    if len(corners) < 2 or corners[0] != corners[-1]:
        raise AnnotationError(f"{path.name}: {name} has a ring that is not closed (its last corner must be its first)")
    return np.array(corners, dtype=np.float64)


def _collected(path: Path, pieces: Iterable[_Piece]) -> Outlines:
    found: dict[Role, list[shapely.Geometry]] = {role: [] for role in Role}
    remarks: dict[str, list[str]] = {remark: [] for remark in (*_REMARKS, _LEFT_OUT)}
    drawn: list[tuple[str, shapely.Geometry]] = []
    stated: list[StatedSize] = []
    for piece in pieces:
        role = Role.TUMOUR if piece.group is None else ROLES.get(piece.group.casefold())
        if role is None:
            raise AnnotationError(
                f"{path.name}: {piece.name} belongs to {piece.group!r}, and whether that is tumour is not known; "
                f"rename it: {known_names()}"
            )
        if role is Role.IGNORED:
            remarks[_LEFT_OUT].append(piece.name)
            _check_crossings(path, piece)
            found[role] += [repaired(shapely.Polygon(ring)) for ring in piece.rings[:1] if len(ring) >= 3]
            continue
        polygon, crosses = _polygon(path, piece)
        found[role].append(polygon)
        if role is Role.TUMOUR:
            drawn.append((piece.name, polygon))
        if role is Role.TUMOUR and piece.said != NOTHING:
            stated.append(StatedSize(piece.name, polygon, piece.said))
        for remark, holds in zip(_REMARKS, (crosses, piece.group is None, piece.curved), strict=True):
            if holds:
                remarks[remark].append(piece.name)
    if remarks[_LEFT_OUT] and not found[Role.TUMOUR]:
        raise AnnotationError(
            f"{path.name}: no outline of it says that it is tumour ({how_many(len(remarks[_LEFT_OUT]), 'outline')} in "
            "no group, or to be ignored); put them into a group or class, such as Tumor or Normal, or delete them"
        )
    tumour, excluded, ignored = (united(found[role]) for role in Role)
    remarks[_GONE] = cut_out_whole(path.name, drawn, excluded)
    notes = [
        f"{how_many(len(names), 'outline')} {remark}: {few(names, 5)}" for remark, names in remarks.items() if names
    ]
    if not found[Role.TUMOUR]:
        notes.append(NO_TUMOUR)
    return Outlines(path.name, tumour, excluded, tuple(notes), ignored=ignored, stated=by_feature(stated))


def _polygon(path: Path, piece: _Piece) -> tuple[shapely.Polygon | shapely.MultiPolygon, bool]:
    """The piece's polygon, valid, and whether it had to be repaired: every area a ring runs around is kept."""
    for ring in piece.rings or (np.empty((0, 2)),):
        if len(set(map(tuple, ring.tolist()))) < 3:
            raise AnnotationError(f"{path.name}: {piece.name} has fewer than three corners, so it has no area")
    if np.ptp(piece.rings[0], axis=0).max() < _SHORTEST_PX:
        raise AnnotationError(f"{path.name}: {piece.name} is smaller than a thousandth of a pixel; delete it")
    polygon = shapely.Polygon(piece.rings[0], piece.rings[1:])
    if polygon.is_valid:
        return polygon, False
    _check_crossings(path, piece)
    whole = united([repaired(polygon)])
    if whole.is_empty:
        raise AnnotationError(f"{path.name}: {piece.name} has all its corners on a line, so it has no area")
    return whole, True


def _check_crossings(path: Path, piece: _Piece) -> None:
    if piece.rings and cross_too_often(piece.rings):
        raise AnnotationError(f"{path.name}: {piece.name} crosses itself thousands of times; draw it anew")


def _bytes_of(path: Path) -> bytes:
    try:
        return given_bytes(path)
    except OSError as error:
        raise AnnotationError(f"{path}: can't be read ({error.strerror or error}); name a file of outlines") from error


def _json_of(path: Path) -> object:
    try:
        return strict_json(_bytes_of(path))
    except (ValueError, RecursionError) as error:  # not JSON, not text, a key twice, or nested without end
        raise AnnotationError(f"{path.name}: not JSON ({error}); export it again as GeoJSON") from error


def _number(path: Path, name: str, text: object) -> float:
    """A coordinate that a slide can have. Comma decimals, NaN and missing attributes are refused."""
    try:
        value = plain_number(str(text))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AnnotationError(f"{path.name}: {name} has a coordinate that is not a number: {reprlib.repr(text)}")
    if abs(value) > FARTHEST_PX:
        raise AnnotationError(f"{path.name}: {name} has a coordinate that no slide has: {value:g} px")
    return value


def _list(path: Path, name: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise AnnotationError(f"{path.name}: {name} has coordinates of the wrong shape; export it again as GeoJSON")
    return cast("list[object]", value)
