"""The policy of this run: which bundles may be opened. `mien COMMAND --policy NAME`, or the variable MIEN_POLICY."""

import os

from mien.core.errors import MienError, nearest
from mien.core.licence import Licence

VARIABLE = "MIEN_POLICY"  # environment variable: the policy; `mien COMMAND --policy NAME` sets it
POLICIES = {
    "any": "every bundle is opened",
    "commercial": "only bundles whose system.json says that they may be used commercially",
}


def policy() -> str:
    """Of this run. Raises MienError for an unknown one, because a policy that is misspelt would refuse nothing."""
    name = os.environ.get(VARIABLE, "") or "any"
    if name not in POLICIES:
        raise MienError(f"--policy ({VARIABLE}) is {' or '.join(POLICIES)}; got {name!r}.{nearest(name, POLICIES)}")
    return name


def require_allowed(name: str, licence: Licence | None) -> None:
    """Raises MienError for a bundle that the policy of this run refuses. name: as messages name the bundle."""
    if policy() != "commercial" or (licence is not None and licence.use == "commercial"):
        return
    if licence is None:
        raise MienError(
            f"{name} states no licence, and --policy commercial takes only bundles that may be used commercially. If "
            f"this one may: mien weights licence {name} --use commercial --text 'WHY'. mien weights list shows others."
        )
    raise MienError(
        f"{name} is for research only: {licence.summary}. --policy commercial refuses it. Name a bundle of your own "
        "with another licence (--bundle, --landmark-bundle, --init); mien weights list shows those here."
    )
