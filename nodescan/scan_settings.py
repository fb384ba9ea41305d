"""All settings of a scan beside the model, room by room."""

from dataclasses import dataclass

from nodescan.imaging.detections import DetectionSettings
from nodescan.imaging.nuclei import NucleiSettings
from nodescan.imaging.quality import QualitySettings
from nodescan.imaging.segmentation import SegmentationSettings
from nodescan.imaging.tissue import TissueSettings


@dataclass(frozen=True, slots=True)
class OverviewSettings:
    """The low magnification that tissue is sought at: any spacing from finest_um to coarsest_um per px will do."""

    finest_um: float
    coarsest_um: float


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """All that bears on a finding beside the model; a run's YAML holds every one of them."""

    overview: OverviewSettings
    tissue: TissueSettings
    quality: QualitySettings
    segmentation: SegmentationSettings
    nuclei: NucleiSettings
    detections: DetectionSettings
