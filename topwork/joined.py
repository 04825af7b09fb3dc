"""Several runs' networks as one: it takes what any of them takes, and answers by a rule of `topwork.join`."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from topwork.join import Learned, Mixture, Stack
from topwork.network import Input, Network, classifier, starts
from topwork.part import Part
from topwork.trunk import Trunk

if TYPE_CHECKING:
    import keras


class Joined:
    """The layers of a join. It has the inputs, trunks, flat model and answers that a `Network` has.

    Args:
        members: with their trained weights; their layers are renamed.
        rule: what joins their probabilities.
        first: the name of a row's first picture, which a member takes that names none.
    """

    def __init__(self, members: Sequence[Network], rule: Learned, first: str) -> None:
        for number, member in enumerate(members, 1):
            member.begin(f"member_{number}_")
        named = any(picture for member in members for picture, _ in member.inputs)
        self.members, self.rule, self._first = tuple(members), rule, first if named else None

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        """The members' trunks, one after another."""
        return tuple(one for member in self.members for one in member.trunks)

    @property
    def inputs(self) -> list[Input]:
        """What the whole model takes: one input for each picture of a row, size and rule of any member."""
        return list(dict.fromkeys(self._named(one) for member in self.members for one in member.inputs))

    def flat(self) -> "keras.Model":
        """One flat plain model, as of `topwork.network.Network.flat`."""
        pixels = starts(self.inputs)
        logits = [member.logits({one: pixels[self._named(one)] for one in member.inputs}) for member in self.members]
        return classifier(
            pixels, mixed(self.rule, logits) if isinstance(self.rule, Mixture) else stacked(self.rule, logits)
        )

    def answers(self, below: Sequence[Trunk], part: Part) -> list[np.ndarray]:
        """Probabilities of a part's rows, float64 ``[rows, classes]``: joined, then those of each member.

        Args:
            below: a trunk for each term of each member's cut, as `trunks` has them.
            part: their activations.
        """
        bounds = pairwise(accumulate((len(member.trunks) for member in self.members), initial=0))
        each = [
            member.answers(below[start:end], Part(part.sources[start:end], part.labels, part.contents))[0]
            for member, (start, end) in zip(self.members, bounds)
        ]
        return [self.rule(np.array(each)), *each]

    def _named(self, one: Input) -> Input:
        return one[0] or self._first, one[1]


def mixed(rule: Mixture, logits: Sequence[Any]) -> Any:
    """Logits, the logarithm of the weighted mean of the softmax of each of *logits*."""
    from keras import layers, ops

    scaled = [
        layers.Rescaling(float(weight), name=f"topwork_weight_{number}")(
            layers.Softmax(name=f"topwork_probabilities_{number}")(one)
        )
        for number, (weight, one) in enumerate(zip(rule.weights, logits), 1)
    ]
    return ops.log(layers.Add(name="mixture")(scaled))


def stacked(rule: Stack, logits: Sequence[Any]) -> Any:
    """Logits, a dense layer on the log-softmax of each of *logits*."""
    from keras import layers

    logs = [
        layers.Activation("log_softmax", name=f"topwork_log_probabilities_{number}")(one)
        for number, one in enumerate(logits, 1)
    ]
    dense = layers.Dense(len(rule.bias), name="logits")
    joined = dense(layers.Concatenate(name="join")(logs))
    dense.set_weights([rule.kernel, rule.bias])
    return joined
