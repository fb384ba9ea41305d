"""What differs from one phantom to the next: the stain, the scanner, and the kind of tumour."""

from dataclasses import dataclass

import numpy as np

from nodescan.phantoms.stamps import TUMOURS


@dataclass(frozen=True, slots=True)
class Look:
    """How a slide was stained and scanned, and what its tumour looks like.

    haematoxylin, eosin: optical density of R, G, B at concentration 1; *_strength multiply the concentrations;
    glass: transmitted light in [0, 1] for R, G, B. tumour_type: index into the kinds of tumour nuclei;
    tumour_haematoxylin and tumour_eosin: concentrations of its cytoplasm.
    """

    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    haematoxylin_strength: float
    eosin_strength: float
    glass: tuple[float, float, float]
    tumour_type: int
    tumour_haematoxylin: float
    tumour_eosin: float
    tumour_nests: float
    packing: float
    tumour_packing: float

    @staticmethod
    def drawn(rng: np.random.Generator, spread: float = 1.0) -> "Look":
        """A look at random, between the two scanners whose colours most public node slides have.

        spread: how far from the middle of each, 1 for training.
        """
        share = float(rng.beta(0.6, 0.6))
        blue = np.array([[0.74, 0.86, 0.34], [0.24, 0.76, 0.30]])
        brown = np.array([[0.68, 0.90, 0.60], [0.20, 0.66, 0.44]])
        vectors = (share * blue + (1 - share) * brown) * rng.normal(1.0, 0.07 * spread, (2, 3))
        light = np.clip(rng.normal(0.945, 0.025 * spread) + rng.normal(0, 0.008 * spread, 3), 0.82, 0.995)
        return Look(
            haematoxylin=tuple(vectors[0].tolist()),
            eosin=tuple(vectors[1].tolist()),
            haematoxylin_strength=float(np.exp(rng.normal(0.04, 0.17 * spread))),
            eosin_strength=float(np.exp(rng.normal(0.0, 0.22 * spread))),
            glass=tuple(light.tolist()),
            tumour_type=int(rng.integers(len(TUMOURS))),
            tumour_haematoxylin=float(rng.uniform(0.05, 0.24)),
            tumour_eosin=float(rng.uniform(0.40, 0.90)),
            tumour_nests=float(rng.choice([0.0, 0.08, 0.14])),
            packing=float(rng.uniform(0.78, 0.99)),
            tumour_packing=float(rng.uniform(0.65, 0.98)),
        )
