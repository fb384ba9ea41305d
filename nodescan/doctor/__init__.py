"""Whether an installation can be trusted: each part tried by itself, then a slide of known truth scanned whole."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from nodescan.doctor.library_checks import INSTALL, check_libraries, clipped
from nodescan.doctor.machine_checks import (
    Check,
    State,
    check_memory,
    check_output,
    check_packages,
    check_processor,
    check_python,
    check_system,
    check_threads,
    check_torch_pair,
)
from nodescan.errors import ConfigError, DeviceError, ModelError, OutputError, SlideError, WorkerError
from nodescan.machine import FULL, SET_TMPDIR, temporary_folder

if TYPE_CHECKING:  # whatever may be missing or broken is imported inside a check, which then says so
    from nodescan.domain.slide import SlideRef
    from nodescan.phantoms import PhantomTruth

PLANTED_UM, PLANTED_SEED, PLANTED_SPACING_UM = (600.0, 300.0), 3, 0.5
"""A micrometastasis well away from both limits, and a smaller one that must not be joined to it, on a small node."""

SIZE_TOLERANCE = 0.15
"""Share of the planted diameter: the released model errs by a few percent on a phantom, so more is a defect."""

SLOW_MPX_S = 2.0
"""Decoding slower than this, a slide of 2 cm2 of tissue at 0.5 um/px waits over six minutes for its pixels alone."""

_OWN_SETTINGS = "install nodescan again; keep settings of your own in a copy, and give that with run --config"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    checks: tuple[Check, ...]

    @property
    def trustworthy(self) -> bool:
        """Warnings are allowed, failures aren't."""
        return all(check.state is not State.FAIL for check in self.checks)


class Phantom:
    """A slide of known truth in a folder of its own, made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "phantom.tif"

    @cached_property
    def truth(self) -> "PhantomTruth":
        """What was planted."""
        from nodescan.phantoms import make_phantom, plan_phantom

        plan = plan_phantom(PLANTED_UM, spacing_um=PLANTED_SPACING_UM, seed=PLANTED_SEED)
        return make_phantom(self.path, plan)

    @property
    def ref(self) -> "SlideRef":
        """The slide, made if it isn't there yet."""
        from nodescan.domain.slide import SlideRef

        return SlideRef(Path(self.truth.slide).stem, self.path)


def examine_installation(
    folder: Path, tell: Callable[[Check], None], *, model: str | None = None, device: str = "auto"
) -> Diagnosis:
    """Run every check, whatever the ones before it found; each is told as soon as it is known.

    folder: where results will go. model: None for the released one.
    """
    done: list[Check] = []

    def note(check: Check) -> Check:
        done.append(check)
        tell(check)
        return check

    for name, check in (
        ("system", check_system),
        ("python", check_python),
        ("packages", check_packages),
        ("torch", check_torch_pair),
        ("processor", check_processor),
        ("memory", check_memory),
        ("output", partial(check_output, folder)),
    ):
        note(_tried(name, check))
    enough = note(_tried("threads", check_threads)).state is State.OK
    unsafe = "" if enough else "threads"
    if enough:
        libraries, safe = check_libraries()
        unsafe = "" if safe else "libraries"
    else:
        libraries = _not_tried("libraries", unsafe)
    note(libraries)
    try:
        with temporary_folder("nodescan-doctor-") as place:
            phantom = Phantom(place)
            for name, check in (
                ("openslide", partial(check_openslide, phantom)),
                ("decoding", partial(check_decoding, phantom)),
                ("device", partial(check_device, device)),
                ("model", partial(check_model, model)),
                ("settings", check_settings),
                ("self-test", partial(check_scan, phantom, model=model, device=device)),
            ):
                note(_not_tried(name, unsafe) if unsafe else _tried(name, check))
    except OutputError as error:
        note(_without_room("temporary", error))
    return Diagnosis(tuple(done))


def check_openslide(phantom: Phantom) -> Check:
    """The library loads, is new enough, and opens a slide with the spacing that was written.

    It may be openslide-bin's or the system's.
    """
    from nodescan.slides import slide_facts
    from nodescan.slides.openslide_handles import INSTALL_LIBRARY, library_versions, too_old

    if wrong := too_old():
        return Check("openslide", State.FAIL, wrong, INSTALL_LIBRARY)
    library, package = library_versions()
    found = f"OpenSlide {library}, openslide-python {package}"
    truth, facts = phantom.truth, slide_facts(phantom.ref)
    if facts.sizes_px[0] != (truth.width_px, truth.height_px) or facts.info is None:
        return Check(
            "openslide", State.FAIL, f"{found}: opens a phantom with another size or without a spacing", INSTALL
        )
    spacing = facts.info.spacing
    if abs(spacing.x / truth.um_per_px - 1) > 0.001:
        wrong = f"{found}: reads {spacing.x:g} um/px where {truth.um_per_px:g} was written"
        return Check("openslide", State.FAIL, wrong, INSTALL)
    return Check("openslide", State.OK, f"{found}; a phantom opens")


def check_decoding(phantom: Phantom) -> Check:
    """Megapixels a second that one thread reads through the product's reader."""
    from nodescan.domain.geometry import PixelBox
    from nodescan.slides import open_slide

    with closing(open_slide(phantom.ref)) as slide:
        spacing = slide.info.spacing
        width, height = slide.frame_size(spacing)
        started, read = time.perf_counter(), 0
        for top in range(0, height, 1024):
            box = PixelBox(0, top, width, min(1024, height - top))
            read += slide.read(box, spacing).shape[0] * width
    rate = read / 1e6 / max(time.perf_counter() - started, 1e-9)
    found = f"{rate:.1f} Mpx/s with one thread, of JPEG in a TIFF on the local disk"
    if rate < SLOW_MPX_S:
        remedy = "the results are right but slow; look for other work on this machine"
        return Check("decoding", State.WARN, found, remedy)
    return Check("decoding", State.OK, found)


def check_device(asked: str) -> Check:
    """Where and in which precision the network will run, and why."""
    from nodescan.inference.device import (
        built_for,
        choose_device,
        cpu_instructions,
        gpu_count,
        hidden_by,
        precision_words,
    )
    from nodescan.inference.gpu_errors import NO_ROOM

    gpus, built = gpu_count(), built_for()
    chosen = choose_device(asked)
    if asked != "auto":
        why = f"asked for by --device {asked}"
    elif chosen.device.type == "cuda":
        why = "the first that computes of the GPUs that torch sees"
    elif gpus:
        why = "torch sees a GPU, but can't use it"
    else:
        why = f"torch is built for {built} and sees no GPU"
    found = f"{chosen.description}, {cpu_instructions()} instructions; {why}; {precision_words(chosen)}"
    if asked == "auto" and not gpus and _gpu_is_there():
        remedy = "update the NVIDIA driver"
        if built == "CPU":
            remedy = "install a torch built for CUDA"
        elif hidden := hidden_by():
            remedy = f"{hidden}: ask for a GPU where this job was started (SLURM: --gres=gpu:1), or unset the variable"
        return Check("device", State.WARN, f"{found}, but there is one", f"{remedy}, or accept the slower CPU")
    if asked == "auto" and gpus and chosen.device.type == "cpu":
        remedy = "end other programs on it" if NO_ROOM in chosen.description else "install a torch built for it"
        return Check("device", State.WARN, found, f"{remedy}, or accept the slower CPU")
    return Check("device", State.OK, found)


def check_model(asked: str | None) -> Check:
    """The card can be read, is as tuning left it, and the files beside it are those it was written for."""
    from nodescan.inference.card import checked_weights, find_model, load_card
    from nodescan.inference.known_tissue import known_tissue

    folder = find_model(asked)
    card = load_card(folder)
    checked_weights(card, folder)
    known_tissue(folder)
    said = f"{card.name}, weights sha256 {card.weights_sha256[:12]} as on the card"
    if card.untuned is not None:
        remedy = "put the card back as it was, or run python -m training tune from a checkout, or take another model"
        return Check("model", State.WARN, f"{said}; {card.untuned}: no slide will be complete", remedy)
    return Check("model", State.OK, said)


def check_settings() -> Check:
    """The packaged settings, which a run without --config takes, can be read and have the released values."""
    from nodescan.config import default_config_path, load_config
    from nodescan.domain.versions import own_settings

    path = default_config_path()
    try:
        config = load_config()
    except ConfigError as error:
        return Check("settings", State.FAIL, f"{path} was changed: {clipped(str(error))}", _OWN_SETTINGS)
    if own_settings(config.sha256):
        found = f"{path} was changed: runs without --config may differ from the released ones in status and class"
        return Check("settings", State.WARN, found, _OWN_SETTINGS)
    return Check("settings", State.OK, f"the packaged {path.name} has the released values, sha256 {config.sha256[:12]}")


def check_scan(phantom: Phantom, *, model: str | None = None, device: str = "auto") -> Check:
    """A whole scan finds the deposits that were planted: the class, the largest's size, and nothing else."""
    from nodescan.batch.progress import Viewer
    from nodescan.config import load_config
    from nodescan.domain.class_bounds import class_word
    from nodescan.domain.report import Status
    from nodescan.inference.card import find_model
    from nodescan.inference.known_tissue import known_tissue
    from nodescan.inference.slots import open_in_slot
    from nodescan.scan import ScanTools, scan_slide
    from nodescan.slides import open_slide

    predictor, _ = open_in_slot(find_model(model), device=device, slot=0)  # as `run` opens it
    settings = load_config().settings
    started = time.perf_counter()
    report = scan_slide(
        phantom.ref, ScanTools(open_slide, predictor, settings, known_tissue(find_model(model))), progress=Viewer()
    ).report
    seconds = time.perf_counter() - started
    truth = phantom.truth
    planted, measured = truth.largest_deposit_um or 0.0, report.largest_deposit_um
    found = class_word(report)
    size = "nothing" if measured is None else f"{measured:.0f} um"
    said = (
        f"planted: {truth.label}, {planted:.0f} um, foci: {len(truth.deposits)}; "
        f"found: {found}, {size}, foci: {report.n_foci}, {report.status}; "
        f"{predictor.precision} on {predictor.device}, {seconds:.0f} s"
    )
    right = report.status is Status.COMPLETE and found == truth.label and report.n_foci == len(truth.deposits)
    if right and measured is not None and abs(measured - planted) <= SIZE_TOLERANCE * planted:
        return Check("self-test", State.OK, said)
    remedy = "don't use this installation: install it again; if that doesn't help, try --device cpu or another model"
    return Check("self-test", State.FAIL, said, remedy)


def _tried(name: str, check: Callable[[], Check]) -> Check:
    """The check, or that it broke and why."""
    try:
        return check()
    except Exception as error:  # a broken library raises whatever it likes; a doctor outlives its patient
        if isinstance(error, (DeviceError, ModelError, SlideError)):
            return Check(name, State.FAIL, clipped(str(error)), "do what the line says, then try again")
        if isinstance(error, WorkerError):
            found, _, remedy = str(error).partition("; ")
            return Check(name, State.FAIL, clipped(found), remedy)
        if isinstance(error, OutputError) or (isinstance(error, OSError) and error.errno in FULL):
            return _without_room(name, error)
        return Check(name, State.FAIL, f"broke: {type(error).__name__}: {clipped(str(error))}", INSTALL)


def _without_room(name: str, error: Exception) -> Check:
    return Check(name, State.FAIL, clipped(str(error).partition(";")[0]), SET_TMPDIR)


def _not_tried(name: str, unsafe: str) -> Check:
    """unsafe: what failed before and would stop this program now, "threads" or "libraries"."""
    why = "a library stops the program" if unsafe == "libraries" else "a library would stop the program"
    return Check(name, State.FAIL, f"not tried, because {why}", f"fix the {unsafe} first")


def _gpu_is_there() -> bool:
    """Whether Linux has an NVIDIA driver loaded, whatever torch thinks of it."""
    return Path("/proc/driver/nvidia/version").exists()
