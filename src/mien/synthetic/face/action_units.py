"""The action units of the Facial Action Coding System (Ekman, Friesen & Hager 2002) that the face can do.

Every unit of a paired muscle stands left and right apart (`AU12_L`, `AU12_R`); jaw units are one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ActionUnit:
    """An action unit of FACS."""

    number: int
    """As in FACS."""
    name: str
    """As in FACS."""
    muscle: str
    """Main muscle."""
    sided: bool = True
    """Whether left and right can move apart."""

    @property
    def code(self) -> str:
        return f"AU{self.number}"

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of its weights: AU12_L and AU12_R, or AU26."""
        return (f"{self.code}_L", f"{self.code}_R") if self.sided else (self.code,)


ACTION_UNITS = (
    ActionUnit(1, "inner brow raiser", "frontalis, medial part"),
    ActionUnit(2, "outer brow raiser", "frontalis, lateral part"),
    ActionUnit(4, "brow lowerer", "corrugator supercilii, depressor supercilii, procerus"),
    ActionUnit(5, "upper lid raiser", "levator palpebrae superioris"),
    ActionUnit(6, "cheek raiser", "orbicularis oculi, orbital part"),
    ActionUnit(7, "lid tightener", "orbicularis oculi, palpebral part"),
    ActionUnit(9, "nose wrinkler", "levator labii superioris alaeque nasi"),
    ActionUnit(10, "upper lip raiser", "levator labii superioris"),
    ActionUnit(11, "nasolabial deepener", "zygomaticus minor"),
    ActionUnit(12, "lip corner puller", "zygomaticus major"),
    ActionUnit(14, "dimpler", "buccinator"),
    ActionUnit(15, "lip corner depressor", "depressor anguli oris"),
    ActionUnit(16, "lower lip depressor", "depressor labii inferioris"),
    ActionUnit(17, "chin raiser", "mentalis"),
    ActionUnit(18, "lip pucker", "incisivus labii"),
    ActionUnit(20, "lip stretcher", "risorius, platysma"),
    ActionUnit(22, "lip funneler", "orbicularis oris"),
    ActionUnit(23, "lip tightener", "orbicularis oris"),
    ActionUnit(24, "lip presser", "orbicularis oris"),
    ActionUnit(25, "lips part", "depressor labii inferioris, or mentalis relaxed"),
    ActionUnit(26, "jaw drop", "masseter relaxed", sided=False),
    ActionUnit(27, "mouth stretch", "pterygoids, digastric", sided=False),
    ActionUnit(28, "lip suck", "orbicularis oris"),
    ActionUnit(34, "cheek puff", "buccinator relaxed over held breath"),
    ActionUnit(43, "eyes closed", "levator palpebrae superioris relaxed"),
    ActionUnit(45, "blink", "orbicularis oculi, palpebral part"),
)
# A muscle's tone that is gone at rest, as in facial palsy: brow, lids, fold, mouth's corner. Weights too.
SAGS = ("sag_brow", "sag_eye", "sag_fold", "sag_mouth")
MODES = tuple(mode for unit in ACTION_UNITS for mode in unit.modes) + tuple(
    f"{s}_{side}" for s in SAGS for side in "LR"
)
