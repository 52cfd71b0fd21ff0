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

    def loss_terms(self, batch, shared=None):
        logits = self(batch.image)["expression"]
        return {"cross_entropy": self.options.scale * F.cross_entropy(logits, batch.expression)}

    def predict(self, system, batch):
        return {"logits": system(batch.image)["expression"].cpu().numpy(), "truth": batch.expression.cpu().numpy()}

    def validate(self, predictions, samples):
        assert [sample.expression for sample in samples] == predictions["truth"].tolist()
        return {"accuracy": float(np.mean(predictions["logits"].argmax(-1) == predictions["truth"]))}


STAGES = {"guess": Guess}
