"""The demo's model: a small network, trained in a second, the same for the same data and seed.

One hidden layer of tanh units and a softmax, fitted by Adam on all rows at once (Kingma and Ba,
2015). It stands for whatever a team runs in production: Driftline never looks inside.
"""

import dataclasses

import numpy as np

from stream.columns import Floats, Ints

HIDDEN = 16
STEPS = 400
RATE = 0.03
DECAY = 0.003
FOLDS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Classifier:
    """A fitted network. mean, spread: shape (features,); the weights take standardised inputs."""

    mean: Floats
    spread: Floats
    weights: tuple[Floats, ...]

    def probabilities(self, inputs: Floats) -> Floats:
        """The probability of every class: shape (rows, classes), for inputs (rows, features)."""
        return _forward(self.weights, (inputs - self.mean) / self.spread)[1]


def fit(inputs: Floats, classes: Ints, count: int, seed: int) -> Classifier:
    """A network for inputs of shape (rows, features) and classes 0..count-1 of shape (rows,)."""
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    scaled = (inputs - mean) / spread
    random = np.random.default_rng(seed)
    weights = [
        random.normal(0, 0.5, (inputs.shape[1], HIDDEN)),
        np.zeros(HIDDEN),
        random.normal(0, 0.5, (HIDDEN, count)),
        np.zeros(count),
    ]
    wanted = np.eye(count)[classes]
    first, second = [0 * w for w in weights], [0 * w for w in weights]
    for step in range(1, STEPS + 1):
        for i, slope in enumerate(_slopes(weights, scaled, wanted)):
            first[i] += 0.1 * (slope - first[i])
            second[i] += 0.001 * (slope**2 - second[i])
            up, down = first[i] / (1 - 0.9**step), second[i] / (1 - 0.999**step)
            weights[i] = weights[i] - RATE * up / (np.sqrt(down) + 1e-8)
    return Classifier(mean, spread, tuple(weights))


def unseen(inputs: Floats, classes: Ints, count: int, seed: int) -> Floats:
    """Probabilities for rows by networks that were not trained on them: shape (rows, classes).

    What a model answers on its own training rows flatters it; a reference should not.
    """
    folds = np.random.default_rng(seed).permutation(len(classes)) % FOLDS
    answers = np.empty((len(classes), count))
    for fold in range(FOLDS):
        rest = folds != fold
        fitted = fit(inputs[rest], classes[rest], count, seed)
        answers[~rest] = fitted.probabilities(inputs[~rest])
    return answers


def _forward(weights: "list[Floats] | tuple[Floats, ...]", scaled: Floats) -> tuple[Floats, Floats]:
    hidden = np.tanh(scaled @ weights[0] + weights[1])
    scores = hidden @ weights[2] + weights[3]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, powers / powers.sum(axis=1, keepdims=True)


def _slopes(weights: list[Floats], scaled: Floats, wanted: Floats) -> tuple[Floats, ...]:
    """The gradient of the mean log loss with weight decay, one array a weight."""
    hidden, answers = _forward(weights, scaled)
    error = (answers - wanted) / len(scaled)
    back = (error @ weights[2].T) * (1 - hidden**2)
    return (
        scaled.T @ back + DECAY * weights[0],
        back.sum(axis=0),
        hidden.T @ error + DECAY * weights[2],
        error.sum(axis=0),
    )
