"""Whether the compiled libraries load, each tried in a process of its own: one built elsewhere kills its loader."""

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec

from nodescan.doctor.machine_checks import REPAIR_TORCHVISION, Check, State
from nodescan.errors import more_threads
from nodescan.machine import killer
from nodescan.threads import ran_out_of_threads

COMPILED: Mapping[str, str] = {
    "numpy": "numpy",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "tifffile": "tifffile",
    "imagecodecs": "imagecodecs",
    "simplejpeg": "simplejpeg",
    "openslide": "openslide-python and openslide-bin",
    "safetensors": "safetensors",
    "torch": "torch",
    "openvino.opset13": "openvino",
    "torchvision": "torchvision",
}
"""Module -> what to install: code that is compiled, so that it may be built for another machine. No scan imports the
last one: whatever it does, all others were tried before."""

OPTIONAL = ("torchvision", "openvino.opset13")

_LONGEST_LOAD_S = 300.0

_LOAD_EACH = """
import importlib, sys
sys.modules["openvino_telemetry"] = None  # see openvino_streams.py
for name in sys.argv[1:]:
    print(name, flush=True)
    importlib.import_module(name)
"""

INSTALL = "install it again into a fresh environment, and try nodescan doctor there"


def check_libraries() -> tuple[Check, bool]:
    """Import what is compiled in a process of its own, and say whether this process may do so too.

    Code built for another processor doesn't raise an error: it kills whoever loads it.
    """
    there = [name for name in COMPILED if name not in OPTIONAL or find_spec(name.partition(".")[0]) is not None]
    command = [sys.executable, "-P", "-c", _LOAD_EACH, *there]  # -P: not from the current folder
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_LOAD_S, check=False)
    except subprocess.TimeoutExpired:
        found = f"loading them took longer than {_LONGEST_LOAD_S:.0f} s"
        return Check("libraries", State.FAIL, found, "install nodescan on a local disk"), False
    except OSError as error:
        found = f"no process can be started to load them ({error.strerror or error})"
        return Check("libraries", State.FAIL, found, "free memory, or allow this user more processes"), True
    if result.returncode == 0:
        return Check("libraries", State.OK, f"all {len(there)} load"), True
    begun = result.stdout.split()
    package = COMPILED.get(begun[-1], begun[-1]) if begun else "python"
    said = [line for line in result.stderr.splitlines() if line.strip()]
    broken = f"{package} doesn't load: {clipped(said[-1] if said else '')}"
    if package == "torchvision":
        return Check("libraries", State.WARN, f"all that a scan needs load; {broken}", REPAIR_TORCHVISION), True
    if what := killer(result.returncode):
        found = f"loading {package} stops the program ({what})"
        remedy = f"{package} is built for another processor or damaged: {INSTALL}"
        if ran_out_of_threads(result.stderr):
            remedy = more_threads()
        return Check("libraries", State.FAIL, found, remedy), False
    return Check("libraries", State.FAIL, broken, INSTALL), True


def clipped(text: str) -> str:
    """On one line, and not a page of it."""
    line = " ".join(text.split()) or "no reason given"
    return line if len(line) <= 300 else f"{line[:297]}..."
