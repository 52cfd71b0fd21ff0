"""Released files of DDAMFN and If3D: which there are, what each becomes. Their names and ours: official_names.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.systems.official import Contents, ReleasedFile

if TYPE_CHECKING:
    from mien.systems.system import System

FILES = (
    ReleasedFile("MFN_msceleb.pth", "MixedFeatureNet, a face recogniser, a pickled module", "start of training"),
    ReleasedFile("affecnet8sota.pth, PureSmirk.pth", "DDAMFN on photos, on renders", "classifier; state --labels"),
    ReleasedFile("LinearFusion.pth, AttentionFusion.pth, GateFusion.pth, SPPFusion.pth", "If3D's four fusions",
                 "classifier of photo and render; state --labels"),
)  # fmt: skip


@dataclass(frozen=True)
class ConvertOptions:
    labels: str | None = None
    """Class order that the weights were trained in (see mien data list). It is not in the files and never guessed."""


def recognise(contents: Contents) -> bool:
    """Whether it is MixedFeatureNet or a classifier that stands on it."""
    from mien.nn.weights import weight_names

    names = weight_names(contents)
    return "conv_23.conv.conv.weight" in names or "cat_head0.CoordAtt.conv1.weight" in names


def convert(files: Mapping[Path, Contents], options: ConvertOptions) -> "tuple[System, list[str]]":
    """A classifier with the released behaviour, or a network to train whose trunk is the face recogniser's."""
    from mien.nn.weights import weight_names
    from mien.systems.if3d import official_names

    if len(files) != 1:
        raise MienError(f"--system if3d converts one released file at a time; got {len(files)}.")
    path, contents = next(iter(files.items()))
    labels: dict[str, Any] = {"labels": label_set(options.labels)} if options.labels else {}
    if "conv_23.conv.conv.weight" in weight_names(contents):
        return _with_trunk(path, contents, labels)
    network, loaded = official_names.converted(contents, **labels)
    report = [f"{path.name}: {loaded}"]
    if not labels:
        report.append("The class order is not in the file: classes are numbered. Name it with --labels.")
    return network, report


def _with_trunk(path: Path, contents: Contents, labels: Mapping[str, Any]) -> "tuple[System, list[str]]":
    from mien.systems.if3d import official_names
    from mien.systems.if3d.network import Ddamfn
    from mien.systems.registry import create_model

    recogniser, loaded = official_names.recogniser_from_official(contents)
    network = create_model("ddamfn", **labels)
    assert isinstance(network, Ddamfn)
    weights = recogniser.state_dict()
    network.trunk.load_state_dict({name: weights[name] for name in network.trunk.state_dict()})
    return network.eval(), [
        f"{path.name}: {loaded}",
        "The rest is freshly initialised: train from this bundle (mien fit ... --init DIR); it cannot read.",
    ]
