"""Join the networks of several runs into one model, which combines their probabilities by a rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.networks.model import Input, Network, classifier, starts
from topwork.networks.trunk import Trunk

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Mixture:
    """A weighted mean of the members' probabilities.

    Args:
        weights: ``[members]``: at least 0, with the sum 1.
        temperature: the logarithm of the mean is divided by it.
    """

    weights: np.ndarray
    temperature: float = 1.0

    def __call__(self, each: np.ndarray) -> np.ndarray:
        """Combine probabilities ``[members, n, classes]`` to ``[n, classes]``."""
        mean = np.tensordot(self.weights, each, 1)
        if self.temperature == 1:
            return mean
        return softmax(np.log(np.maximum(mean, np.finfo(float).tiny)) / self.temperature)

    def divided(self, temperature: float) -> "Mixture":
        """Return the rule whose logits are divided by a number."""
        return replace(self, temperature=self.temperature * temperature)

    def values(self) -> dict[str, list[np.ndarray]]:
        """Return the arrays by name, as they are saved in a run folder."""
        return {"mixture": [self.weights, np.array(self.temperature)]}

    def join(self, logits: Sequence[Any]) -> Any:
        """Return symbolic logits: the logarithm of the weighted mean of the softmax of each member's *logits*.

        They are divided by the temperature.
        """
        from keras import layers, ops

        scaled = []
        for number, (weight, one) in enumerate(zip(self.weights, logits), 1):
            probabilities = layers.Softmax(name=f"topwork_probabilities_{number}")(one)
            scaled.append(layers.Rescaling(float(weight), name=f"topwork_weight_{number}")(probabilities))
        found = ops.log(layers.Add(name="mixture")(scaled))
        if self.temperature == 1:
            return found
        return layers.Rescaling(1 / self.temperature, name="topwork_temperature")(found)


@dataclass(frozen=True)
class Stack:
    """Softmax of a linear map of the members' log-probabilities.

    Args:
        kernel: float64 ``[members * classes, classes]``, member by member.
        bias: float64 ``[classes]``.
    """

    kernel: np.ndarray
    bias: np.ndarray

    def __call__(self, each: np.ndarray) -> np.ndarray:
        """Combine probabilities ``[members, n, classes]`` to ``[n, classes]``."""
        return softmax(log_probabilities(each) @ self.kernel + self.bias)

    def divided(self, temperature: float) -> "Stack":
        """Return the rule whose logits are divided by a number."""
        return Stack(self.kernel / temperature, self.bias / temperature)

    def values(self) -> dict[str, list[np.ndarray]]:
        """Return the arrays by name, as they are saved in a run folder."""
        return {"stack": [self.kernel, self.bias]}

    def join(self, logits: Sequence[Any]) -> Any:
        """Return symbolic logits: a dense layer on the log-softmax of each member's *logits*."""
        from keras import layers

        logs = [
            layers.Activation("log_softmax", name=f"topwork_log_probabilities_{number}")(one)
            for number, one in enumerate(logits, 1)
        ]
        dense = layers.Dense(len(self.bias), name="logits")
        joined = dense(layers.Concatenate(name="join")(logs))
        dense.set_weights([self.kernel, self.bias])
        return joined

    @property
    def weights(self) -> np.ndarray:
        """The weight of each member, ``[members]``.

        It is the mean, over classes, of the coefficient from a class's log-probability to the logit of the same class.
        """
        classes = len(self.bias)
        return np.einsum("mcc->m", self.kernel.reshape(-1, classes, classes)) / classes


Learned = Mixture | Stack


def learned(values: Mapping[str, list[np.ndarray]]) -> Learned:
    """Make a rule from the arrays that its method ``values`` returned."""
    if "stack" in values:
        return Stack(*values["stack"])
    weights, *temperature = values["mixture"]
    return Mixture(weights, *map(float, temperature))


def log_probabilities(each: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities ``[members, n, classes]`` as ``[n, members * classes]``."""
    return np.concatenate(list(np.log(np.maximum(each, np.finfo(float).tiny))), axis=1)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return ``exp(logits) / sum(exp(logits))`` along the last axis: float64, the same shape.

    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    shifted = np.exp(np.asarray(logits, float) - np.max(logits, -1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


class Joined:
    """The networks of a join, with the same interface as a `Network`: ``inputs``, ``trunks`` and ``flat()``.

    Args:
        members: networks with trained weights; their layers are renamed.
        rule: combines the probabilities of the members.
        first: the column of a row's first picture; members that name no column take this picture.
    """

    def __init__(self, members: Sequence[Network], rule: Learned, first: str) -> None:
        for number, member in enumerate(members, 1):
            member.begin(f"member_{number}_")
        named = any(picture for member in members for picture, _ in member.inputs)
        self.members, self.rule, self._first = tuple(members), rule, first if named else None

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        """The trunks of all members, in order."""
        return tuple(one for member in self.members for one in member.trunks)

    @property
    def inputs(self) -> list[Input]:
        """The inputs of the model: one for each combination of picture column, size and resize rule in the members."""
        return list(dict.fromkeys(self._named(one) for member in self.members for one in member.inputs))

    def flat(self) -> "keras.Model":
        """Make one flat plain model; see `topwork.networks.model.Network.flat`."""
        pixels = self.pixels()
        ends = zip(self.members, self.ends(pixels))
        return classifier(pixels, self.rule.join([one.for_classes(one.outputs(own)) for one, own in ends]))

    def pixels(self) -> dict[Input, Any]:
        """Return symbolic pixels for each of `inputs`."""
        return starts(self.inputs)

    def ends(self, pixels: Mapping[Input, Any]) -> list[list[Any]]:
        """Return where the backbones of each member end; see `topwork.networks.model.Network.ends`."""
        return [member.ends({one: pixels[self._named(one)] for one in member.inputs}) for member in self.members]

    def _named(self, one: Input) -> Input:
        return one[0] or self._first, one[1]
