"""Files from others that try to do more than be read: settings, models, outlines, manifests."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

from nodescan.config import default_config_path
from nodescan.inference.card import packed_models
from tests.faults.room import COMPLETE, NOT_COMPLETE, WRONG_USAGE, Room, check
from tests.faults.scene import Scene

_BOMB = "lol" * 3


def _yaml_tag(room: Room) -> str:
    """Nothing is run, and the line of the file is named."""
    mark = room.folder / "ran"
    config = room.folder / "evil.yaml"
    config.write_text(f"overview: !!python/object/apply:os.system ['touch {mark}']\n")
    ran = room.run(room.good(), expect=WRONG_USAGE, options=["--config", str(config)])
    check(not mark.exists(), "the tag was obeyed")
    check("evil.yaml" in ran.lines[0], ran.lines[0])
    return ran.lines[0]


def _yaml_bomb(room: Room) -> str:
    """Aliases that would unfold to a billion words."""
    config = room.folder / "bomb.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    config.write_text("\n".join(lines))
    ran = room.run(room.good(), expect=WRONG_USAGE, options=["--config", str(config)])
    check("bomb.yaml" in ran.lines[0], ran.lines[0])
    return ran.lines[0]


def _nested_yaml(room: Room) -> str:
    config = room.folder / "deep.yaml"
    config.write_text("a: " + "[" * 20_000)
    ran = room.run(room.good(), expect=WRONG_USAGE, options=["--config", str(config)])
    check("deep.yaml" in ran.lines[0], ran.lines[0])
    return ran.lines[0]


def _unknown_key(room: Room) -> str:
    config = room.folder / "typo.yaml"
    config.write_text(default_config_path().read_text(encoding="utf-8").replace("finest_um", "finest_mm", 1))
    ran = room.run(room.good(), expect=WRONG_USAGE, options=["--config", str(config)])
    check("finest_mm" in ran.lines[0], ran.lines[0])
    return ran.lines[0]


class _Touch:
    """Pickled, it makes a file where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _touch, (str(self.mark),)


def _touch(path: str) -> None:
    Path(path).touch()


def _pickled_weights(room: Room) -> str:
    """The card's sha256 fits, so only the format protects."""
    mark = room.folder / "ran"
    model = _model(room, pickle.dumps(_Touch(mark)))
    ran = _with_model(room, model)
    check(not mark.exists(), "the pickle was loaded")
    return ran


def _damaged_weights(room: Room) -> str:
    model = _model(room)
    weights = model / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    said = _with_model(room, model)
    check("sha256" in said, said)
    return said


def _card_with_tag(room: Room) -> str:
    mark = room.folder / "ran"
    model = _model(room)
    (model / "card.yaml").write_text(f"name: !!python/object/apply:os.system ['touch {mark}']\n")
    said = _with_model(room, model)
    check(not mark.exists(), "the tag was obeyed")
    return said


def _model(room: Room, weights: bytes | None = None) -> Path:
    """A copy of the released model, its card made to fit other weights where they are given."""
    packed, model = packed_models() / "pcam-p4m", room.folder / "model"
    shutil.copytree(packed, model)
    if weights is not None:
        old = hashlib.sha256((model / "weights.safetensors").read_bytes()).hexdigest()
        card = (model / "card.yaml").read_text(encoding="utf-8")
        check(old in card, "the released card doesn't hold its weights' sha256")
        (model / "card.yaml").write_text(card.replace(old, hashlib.sha256(weights).hexdigest()), encoding="utf-8")
        (model / "weights.safetensors").write_bytes(weights)
    return model


def _with_model(room: Room, model: Path) -> str:
    """What `run` says of a model that it must refuse before any work. A GPU wants more memory than a case may have."""
    room.network = True
    ran = room.run(room.good(), expect=WRONG_USAGE, options=["--model", str(model), "--device", "cpu"])
    check(str(model.name) in ran.lines[0], ran.lines[0])
    return ran.lines[0].replace(str(room.folder), "")


def _xml_bomb(room: Room) -> str:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<!DOCTYPE x [<!ENTITY a0 "{_BOMB}">{entities}]><ASAP_Annotations>&a11;</ASAP_Annotations>'
    return _outlines(room, "good.xml", text)


def _xml_reads_file(room: Room) -> str:
    text = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><ASAP_Annotations>&a;</ASAP_Annotations>'
    said = _outlines(room, "good.xml", text)
    check("root:" not in said, said)
    return said


def _outlines(room: Room, name: str, text: str) -> str:
    """What `evaluate` says of outlines that it must refuse."""
    room.run(room.good(), expect=COMPLETE)
    truth = room.folder / "truth"
    truth.mkdir()
    (truth / name).write_text(text)
    ran = room.command("evaluate", str(room.out), "--reference", str(truth), expect=NOT_COMPLETE)
    check(len(ran.lines) == 1 and name in ran.lines[0], " | ".join(ran.lines))
    return ran.lines[0]


def _geojson(what: str, text: str) -> Scene:
    name = f"GeoJSON that is {what}"
    return Scene(name, "one line that names the file", lambda room: _outlines(room, "good.geojson", text))


_OPEN_RING = {
    "type": "Feature",
    "geometry": {"type": "Polygon", "coordinates": [[["NaN", 1], [2, "x"], [3, 4]]]},
    "properties": {"classification": {"name": "Tumor"}},
}


HOSTILE: tuple[Scene, ...] = (
    Scene("YAML with a Python tag", "exit 2, nothing is run", _yaml_tag),
    Scene("YAML with a billion aliases", "exit 2 at once", _yaml_bomb),
    Scene("YAML nested 20,000 deep", "exit 2 with one line", _nested_yaml),
    Scene("YAML with a misspelt key", "exit 2, the key is named", _unknown_key),
    Scene("weights with a pickle inside", "exit 2, nothing is loaded", _pickled_weights),
    Scene("weights with one bit flipped", "exit 2: sha256", _damaged_weights),
    Scene("model card with a Python tag", "exit 2, nothing is run", _card_with_tag),
    Scene("XML bomb", "one line that names the file", _xml_bomb),
    Scene("XML that reads /etc/passwd", "one line that names the file", _xml_reads_file),
    _geojson("a web page", "<html>not it</html>"),
    _geojson("nested without end", "[" * 100_000),
    _geojson("of the wrong shape", '{"type": "FeatureCollection", "features": 7}'),
    _geojson("not of numbers", json.dumps(_OPEN_RING)),
)
