from dataclasses import dataclass

import numpy as np
from torch.nn import functional as F

from mien.systems.stage import Stage


@dataclass(frozen=True)
class ToyOptions:
    scale: float = 1.0


class Guess(Stage):
    name = "guess"
    options_class = ToyOptions
    monitor = "accuracy"

    def loss_terms(self, batch):
        return {"cross_entropy": self.options.scale * F.cross_entropy(self(batch.image), batch.expression)}

    def predict(self, system, batch):
        return {"logits": system(batch.image).cpu().numpy(), "truth": batch.expression.cpu().numpy()}

    def judge(self, predicted):
        return {"accuracy": float(np.mean(predicted["logits"].argmax(-1) == predicted["truth"]))}


STAGES = {"guess": Guess}
