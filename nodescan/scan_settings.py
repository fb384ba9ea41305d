"""All settings of a scan beside the model, room by room."""

from dataclasses import dataclass
from typing import Annotated

from nodescan.domain.units import Limits, check_limits
from nodescan.imaging.detections import DetectionSettings
from nodescan.imaging.nuclei import NucleiSettings
from nodescan.imaging.quality import QualitySettings
from nodescan.imaging.segmentation import SegmentationSettings
from nodescan.imaging.tissue import COARSEST_VIEW_UM, TissueSettings


@dataclass(frozen=True, slots=True)
class OverviewSettings:
    """The low magnification that tissue is sought at: any spacing from finest_um to coarsest_um per px will do."""

    finest_um: Annotated[float, Limits(0.1, COARSEST_VIEW_UM)]
    coarsest_um: Annotated[float, Limits(0.1, COARSEST_VIEW_UM)]

    def __post_init__(self) -> None:
        check_limits(self)
        if self.finest_um > self.coarsest_um:
            raise ValueError(f"finest_um ({self.finest_um:g}) can't be above coarsest_um ({self.coarsest_um:g})")


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """The settings that a lab may change and that can change a finding. A run's YAML holds every one.

    Limits that nobody should set stand in the code, and a change of one counts up RESULT_VERSION.
    """

    overview: OverviewSettings
    tissue: TissueSettings
    quality: QualitySettings
    segmentation: SegmentationSettings
    nuclei: NucleiSettings
    detections: DetectionSettings
