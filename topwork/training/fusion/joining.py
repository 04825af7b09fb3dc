"""Carry out a join: get the members' answers for validation pictures, fit the rule on them, measure the test part.

Activations come from the store, where the training of the members saved them. A trunk runs only for missing ones.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from topwork.data.dataset import Dataset, in_array, skipped
from topwork.data.holdout import refuse_left_out
from topwork.data.readers import read_by
from topwork.errors import DatasetError, UsageError
from topwork.networks.fusion import Joined, Learned, Mixture
from topwork.networks.outputs.distance import Distance
from topwork.recipes.recipe import Recipe
from topwork.recipes.settings import Options, Rule
from topwork.runs.creation import create, fresh
from topwork.runs.folder import Folder
from topwork.runs.restore import endings, network_of, shipped, trained_on
from topwork.runs.resume import here
from topwork.runs.scores import JoinResults
from topwork.scoring.answers import SAMPLE, Answers, answered, by_member, checked, examples, features_of, sampled
from topwork.scoring.calibration.distance import limited
from topwork.scoring.calibration.temperature import fitted
from topwork.scoring.drawing import Pencil
from topwork.scoring.results import examined, tell
from topwork.store.engines.local import Extraction
from topwork.store.examples import StoredActivations
from topwork.store.extract import Watch
from topwork.store.request import Request
from topwork.system import files, keras_settings
from topwork.system.advice import either, resuming
from topwork.system.messages import counted, say
from topwork.training.fusion import members
from topwork.training.fusion.rules import fit, loss, warned

_ARRAYS = "topwork.join(members, data=(X, y))"


def prepared(data: Any, recipe: Recipe, origin: Folder | None, options: Options) -> "Joining":
    """Check the members of a new join, make its folder and return the join; see `topwork.training.train.join`.

    Raises:
        UsageError: a parent or callbacks are given, although a join trains nothing.
    """
    assert recipe.join
    if origin or options.callbacks:
        word = either("parent", "--from") if origin else "the callbacks"
        raise UsageError(f"a join trains nothing: omit {word}, or train a member with it.")
    strict = options.strict
    if data is not None and not isinstance(data, Dataset):
        data = read_by(data, recipe.data, strict, decode=strict)
    files.check()
    found = members.opened(recipe.join)
    rows = members.pictures(found) if data is None else members.fitting(data, found)
    rows = members.with_parts(rows, found, recipe.data.near_copies)
    check(rows, recipe, strict)
    folder = create(options.out or fresh(Path("runs"), f"{rows.name}-join"), recipe, rows)
    return Joining(folder, rows, options)


def check(data: Dataset, recipe: Recipe, strict: bool) -> None:
    """Check that the dataset has the validation pictures which the rule is fitted on.

    Raises:
        DatasetError: such pictures are missing; or *strict* is true and a picture was skipped.
    """
    assert recipe.join
    rule, there = recipe.join.rule, {row.label for row in data.part("val")}
    if rule != "mean" and not there:
        raise DatasetError(
            f"the rule {rule!r} is fitted on validation pictures, and there are none: give some the split 'val', "
            "or use the rule 'mean'."
        )
    lacking = [label for label in data.classes if label not in there]
    if rule == "stacked" and lacking:
        raise DatasetError(
            f"no validation picture of {', '.join(map(repr, lacking))}: the rule 'stacked' needs some of each class. "
            "Add some, or use the rule 'weighted' or 'mean'."
        )
    if strict:
        refuse_left_out(data)


def requests(folder: Folder, data: Dataset) -> tuple[list[Request], list[Request]]:
    """Return what a join requests from the store: activations to fit its rule on, and activations to test it on."""
    planned = endings(folder)
    fitted = trained_on(planned, data, data.part("val"))
    return fitted, shipped(planned, data, sampled(data.part("test"), SAMPLE))


@dataclass
class Joining:
    """A join that is being carried out."""

    folder: Folder
    data: Dataset
    options: Options

    def run(self) -> None:
        """Carry out the join. An interrupted join starts from the beginning, as nothing in it takes long."""
        try:
            with self.folder.held():
                self._run()
        except KeyboardInterrupt:
            say(f"To continue: {resuming(self.folder.path)}")
            raise

    def _run(self) -> None:
        start = time.perf_counter()
        asked = requests(self.folder, self.data)
        self.data = here(self.folder, self.data, [one for some in asked for one in some], _ARRAYS)
        fitted, exact = requests(self.folder, self.data)
        assert self.folder.recipe.join
        rule = self.folder.recipe.join.rule
        with (
            Pencil(self.folder.path) as pencil,
            Watch() as watch,
            Extraction([*fitted, *exact], watch.report, self.options.jobs) as extraction,
        ):
            keras_settings.import_keras()
            extraction.wait_all(range(len(fitted) + len(exact)))
            with StoredActivations(fitted) as to_fit, StoredActivations(exact) as to_test:
                self._leave_out(to_fit.failures() | to_test.failures())
                joined, said = self._fitted(to_fit, rule)
                about = _about(self.folder, rule, joined.rule, said)
                temperature = self._calibrated(joined, said)
                self.folder.keep_weights(joined.rule.values())
                if distance := self._measured(joined, to_fit):
                    self.folder.keep_distance(distance)

                # Save the sample that an export needs: pictures from the given arrays; or, if the members'
                # own pictures came from arrays, the sample that a member saved.
                if self.data.pixels is not None:
                    rows = [*checked(self.data), *examples(self.data)]
                    self.folder.keep_sample({row.path: in_array(self.data.pixels, row.path) for row in rows})
                elif not self.data.root:
                    self.folder.keep_sample(self.folder.members[0].sample())
                results, _ = examined(self.folder, joined, self.data, to_test, pencil)
            warnings = warned(rule, joined.rule, about.val_pictures)
            spent = {**watch.seconds, "total": time.perf_counter() - start}
            cost = {name: round(value, 3) for name, value in spent.items()}
            results = replace(results, notes=results.notes + warnings, join=about, cost=cost, temperature=temperature)
            self.folder.keep_results(results)
            _tell(about, warnings)
            tell(results)
            pencil.start()
            if self.options.report:
                from topwork.scoring.report.report import brief

                brief(self.folder.path, self.folder)

    def _fitted(self, stored: StoredActivations, rule: Rule) -> tuple[Joined, Answers | None]:
        """Return the members' networks, joined by the fitted rule, and their answers for validation pictures."""
        own = [network_of(member) for member in self.folder.members]
        mean = Mixture(np.full(len(own), 1 / len(own)))
        joined = Joined(own, mean, self.data.columns[0])
        rows = self.data.part("val")
        if not rows:
            return joined, None
        said = answered(joined, stored, rows, self.data.classes)
        joined.rule = fit(rule, np.array(said.members), said.labels)
        return joined, said

    def _calibrated(self, joined: Joined, said: Answers | None) -> float:
        """Divide the logits of the join by a temperature, which is fitted on validation pictures, and return it."""
        if said is None:
            return 1.0
        found = joined.rule(np.array(said.members))
        temperature = round(fitted(np.log(np.maximum(found, np.finfo(float).tiny)), said.labels), 4)
        joined.rule = joined.rule.divided(temperature)
        return temperature

    def _measured(self, joined: Joined, stored: StoredActivations) -> Distance | None:
        """Return the mean of the members' distances.

        ``None`` if a member has none, or if there is no validation picture that no member learned from.
        """
        own = [member.distance() for member in self.folder.members]
        below = [one.trunk for one in stored.requests]
        learned = {row.content for member in self.folder.members for row in member.learned}
        rows = [row for row in self.data.part("val") if row.content not in learned]
        if None in own or not rows:
            return None
        part = stored.examples(rows, self.data.classes)
        measures = [one.measures[0] for one in own if one]
        each = [
            measure(*features_of(member, below, some))
            for measure, (member, below, some) in zip(measures, by_member(joined, below, part))
        ]
        return limited(measures, np.mean(each, axis=0))

    def _leave_out(self, bad: dict[str, str]) -> None:
        if not bad:
            return
        before = len(self.data.left_out)
        self.data = self.data.without(bad)
        for line in skipped(self.data.left_out[before:], str(self.folder.path)):
            say(line)
        self.folder.keep_data(self.data)
        members.fitting(self.data, self.folder.members)
        check(self.data, self.folder.recipe, self.options.strict)


def _about(folder: Folder, rule: Rule, found: Learned, said: Answers | None) -> JoinResults:
    """Return the members, what the rule learned, and the validation losses of the rule, the mean and each member."""
    losses: dict[str, float | list[float]] | None = None
    if said:
        each = np.array(said.members)
        losses = {rule: loss(found(each), said.labels), "mean": loss(each.mean(0), said.labels)}
        losses["members"] = [loss(one, said.labels) for one in each]
    return JoinResults(
        rule=rule,
        members=folder.origins,
        weights=found.weights.tolist(),
        val_pictures=len(said.rows) if said else 0,
        val_loss=losses,
    )


def _tell(about: JoinResults, warnings: Sequence[str]) -> None:
    if about.val_loss is None:
        return
    names = ", ".join(f"{share:.2f} of {path!r}" for path, share in zip(about.members, about.weights))
    joined = ", ".join(f"{name} {one:.3f}" for name, one in about.val_loss.items() if isinstance(one, float))
    alone = ", ".join(f"{one:.3f}" for some in about.val_loss.values() if isinstance(some, list) for one in some)
    say(f"{about.rule}: {names}")
    say(f"validation loss on {counted(about.val_pictures, 'picture')}: {joined}; members alone {alone}")
    for warning in warnings:
        say(warning)
