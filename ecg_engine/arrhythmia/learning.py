"""Learning beats from a study: its strips, then what can be made of them, in two rounds (issue 4, item 3).

The first round learns from the labels of strips, with and without noise set in, and from ordinary strips moved in
time. It then knows which beats of the strips labelled as ventricular are so for certain, and the second round also
learns from those beats set into other patients' strips.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ecg_engine.arrhythmia.beat_classes import BeatModel, FitConfig, fit
from ecg_engine.arrhythmia.beat_training import OnEpoch
from ecg_engine.arrhythmia.context import RHYTHM, Context, describe
from ecg_engine.arrhythmia.examples import Examples, join
from ecg_engine.arrhythmia.hybrid_fit import HybridConfig, add_hybrid
from ecg_engine.arrhythmia.noisy_copies import noisy_copies
from ecg_engine.arrhythmia.references import CutBeats, References, find_references
from ecg_engine.arrhythmia.retiming import retimed
from ecg_engine.arrhythmia.runs import STRIP_RULES, SYMBOLS, V, beats_given_label
from ecg_engine.arrhythmia.transplants import find_donors, transplanted
from ecg_engine.labels import NOISE, UNLABELLED
from ecg_engine.progress import Progress, part, silent


@dataclass(frozen=True)
class Study:
    """Strips to learn from or to classify.

    Attributes
    ----------
    beats : CutBeats
    references : References
    context : Context
    labels : int64 (s,)
        Effective label of each strip, -999 where there is none.
    known : int64 (n,)
        Label id of beats that a reader labelled, -999 elsewhere.
    weight : float32 (n,)
    flutter, oscillation : float32 (s,)
        See :func:`ecg_engine.arrhythmia.flutter.flutter_probability` and
        :func:`ecg_engine.arrhythmia.oscillation.oscillation_probability`; zeros where they were not asked.
    noise : bool (n,) or None
        Beats flagged as noise, from which the gate of the hybrid net learns.
    """

    beats: CutBeats
    references: References
    context: Context
    labels: NDArray[np.int64]
    known: NDArray[np.int64]
    weight: NDArray[np.float32]
    flutter: NDArray[np.float32]
    oscillation: NDArray[np.float32]
    noise: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        beats: CutBeats,
        labels: NDArray[np.integer] | None = None,
        known: NDArray[np.integer] | None = None,
        weight: NDArray[np.floating] | None = None,
        flutter: NDArray[np.float32] | None = None,
        oscillation: NDArray[np.float32] | None = None,
        noise: NDArray[np.bool_] | None = None,
    ) -> Study:
        """Find references and describe the beats."""
        references = find_references(beats)
        zeros = np.zeros(len(beats.patient), dtype=np.float32)
        return cls(
            beats,
            references,
            describe(beats, references),
            np.full(len(beats.patient), UNLABELLED) if labels is None else np.asarray(labels, dtype=np.int64),
            np.full(len(beats), UNLABELLED) if known is None else np.asarray(known, dtype=np.int64),
            np.ones(len(beats), dtype=np.float32) if weight is None else np.asarray(weight, dtype=np.float32),
            zeros if flutter is None else flutter,
            zeros if oscillation is None else oscillation,
            noise,
        )

    def strips(self, rows: NDArray[np.integer]) -> Study:
        """Only these strips; references of patients are kept as they are.

        Parameters
        ----------
        rows : int, ascending
        """
        spans = [np.arange(self.beats.bounds[row], self.beats.bounds[row + 1]) for row in rows]
        at = np.concatenate([*spans, np.zeros(0, dtype=np.int64)]).astype(np.int64)
        beats = CutBeats(
            self.beats.waves[at],
            np.searchsorted(rows, self.beats.strip[at]),
            self.beats.r_sec[at],
            self.beats.inside[at],
            self.beats.patient[rows],
        )
        context = Context(
            self.context.values[at],
            self.context.names,
            self.context.pictures[at],
            *(getattr(self.context, name)[rows] for name in RHYTHM),
        )
        references = self.references.of_strips(rows)
        said = self.labels[rows], self.known[at], self.weight[at]
        noise = None if self.noise is None else self.noise[at]
        return Study(beats, references, context, *said, self.flutter[rows], self.oscillation[rows], noise)

    @property
    def examples(self) -> Examples:
        """What the nets take in."""
        return Examples.of(self.beats, self.context, self.labels, self.known, self.weight, self.references, self.noise)


@dataclass(frozen=True)
class LearnConfig:
    """How much is made of a study's strips.

    Attributes
    ----------
    fit : FitConfig
    moved, set_in : float
        Copies of ordinary strips with beats moved in time, and with ectopics set in, for each ordinary strip.
    noisy : float
        Copies with noise set in, for each strip whose label says something about its beats.
    made_weight : float
        Weight of a beat of these copies against one strip's label.
    hybrid : HybridConfig, optional
        Given, the reference's hybrid net is learned too and averaged in.
    """

    fit: FitConfig = field(default_factory=FitConfig)
    moved: float = 0.15
    set_in: float = 0.15
    noisy: float = 0.45
    made_weight: float = 0.5
    hybrid: HybridConfig | None = None


def learn(
    study: Study,
    config: LearnConfig | None = None,
    progress: Progress = silent,
    *,
    on_epoch: OnEpoch | None = None,
    held: Examples | None = None,
    device: str | torch.device | None = None,
) -> BeatModel:
    """Learn classes of beats.

    Parameters
    ----------
    study : Study
    config : LearnConfig, optional
    progress : Progress, optional
        Called after every epoch; may raise ``Cancelled``.
    on_epoch, held, device : optional
        As for :func:`ecg_engine.arrhythmia.beat_classes.fit`; epochs are counted over both rounds. Held-out strips
        must have waves if the hybrid net is learned.

    Returns
    -------
    BeatModel

    Raises
    ------
    InputError
        If nothing is said about any beat.
    """
    config = config or LearnConfig()
    first = replace(config.fit, members=1, use_cnn=False, epochs=max(1, config.fit.epochs // 2))
    hybrid_epochs = 0 if config.hybrid is None else config.hybrid.epochs
    in_all = first.all_epochs + config.fit.all_epochs + hybrid_epochs

    def account(before: int, round_name: str = "") -> OnEpoch | None:
        def told(row: dict[str, Any]) -> None:
            assert on_epoch is not None
            on_epoch(row | {"epoch": before + row["epoch"], "epochs": in_all, "net": round_name or row["net"]})

        return None if on_epoch is None else told

    end = 1.0 if config.hybrid is None else 0.5
    given = study.examples
    copies = [moved_examples(study, config), noisy_examples(study, config)]
    parts = [given, *(one for one in copies if one is not None)]
    lean = join([one.without_waves for one in parts])
    early = fit(lean, first, part(progress, 0, 0.2 * end), on_epoch=account(0, "first round"), held=held, device=device)
    made = set_in_examples(study, early, config)
    parts += [] if made is None else [made]
    lean = join([one.without_waves for one in parts])
    told = account(first.all_epochs)
    model = fit(lean, config.fit, part(progress, 0.2 * end, end), on_epoch=told, held=held, device=device)
    if config.hybrid is None:
        return model
    likely = np.full(sum(map(len, parts)), UNLABELLED)
    likely[: len(given)] = likely_labels(model, given)
    told = account(first.all_epochs + config.fit.all_epochs)
    every, last = join(parts), part(progress, end, 1.0)
    return add_hybrid(model, every, likely, config.hybrid, last, on_epoch=told, held=held, device=device)


def moved_examples(study: Study, config: LearnConfig) -> Examples | None:
    """Copies of ordinary strips with their beats moved in time; None where there are none."""
    more = retimed(study.beats, study.labels, config.moved, config.fit.seed)
    first = len(study.labels)
    source, copied = more.source[first:], more.beats.strip >= first
    if not len(source):
        return None
    beats = CutBeats(
        more.beats.waves[copied],
        more.beats.strip[copied] - first,
        more.beats.r_sec[copied],
        more.beats.inside[copied],
        more.beats.patient[first:],
    )
    references = study.references.of_strips(source)
    context = describe(beats, references, _usual_of_patients(study))
    weight = np.full(len(beats), config.made_weight, dtype=np.float32)
    known, noise = more.known[copied], _of_sources(study, source)
    return Examples.of(beats, context, np.full(len(source), UNLABELLED), known, weight, references, noise)


def noisy_examples(study: Study, config: LearnConfig) -> Examples | None:
    """Copies of strips with noise set in, under the same labels; None where there are none."""
    telling = np.flatnonzero(np.isin(study.labels, list(STRIP_RULES)))
    made = noisy_copies(study.beats, study.references, telling, config.noisy, config.fit.seed)
    if made is None:
        return None
    references = find_references(made.beats, study.references.patient)
    context = describe(made.beats, references, _usual_of_patients(study))
    bounds = study.beats.bounds
    at = np.concatenate([np.arange(bounds[row], bounds[row + 1]) for row in made.source])
    said, noise = (study.labels[made.source], study.known[at], study.weight[at]), _of_sources(study, made.source)
    return Examples.of(made.beats, context, *said, references, noise)


def set_in_examples(study: Study, model: BeatModel, config: LearnConfig) -> Examples | None:
    """Copies of ordinary strips with certain ventricular beats set in; None where there are none."""
    ventricular = given_labels(model, study.examples)[:, V]
    donors = find_donors(study.beats, study.labels, ventricular, study.context.column("qrs_like_strip"))
    made = transplanted(study.beats, study.references, study.labels, donors, config.set_in, config.fit.seed)
    if made is None:
        return None
    references = find_references(made.beats, study.references.patient)
    context = describe(made.beats, references, _usual_of_patients(study))
    weight = np.full(len(made.beats), config.made_weight, dtype=np.float32)
    # a beat that was set in was chosen whole and clear
    hosts = _of_sources(study, made.source)
    noise = None if hosts is None else hosts & (made.known == 0)
    return Examples.of(
        made.beats, context, np.full(len(made.source), UNLABELLED), made.known, weight, references, noise
    )


def given_labels(model: BeatModel, examples: Examples) -> NDArray[np.float32]:
    """Probabilities of N, S, V, F of each beat, the labels of the strips being true; float32 (n, 4)."""
    p = model.symbol_probabilities(examples)
    counts = np.diff(examples.bounds)
    place = np.where(
        np.arange(max(int(counts.max(initial=0)), 1)) < counts[:, None],
        examples.bounds[:-1, None] + np.arange(max(int(counts.max(initial=0)), 1)),
        -1,
    )
    log_p = torch.from_numpy(np.log(np.maximum(p[place], 1e-9)))
    post = beats_given_label(log_p, torch.from_numpy(counts), torch.from_numpy(examples.labels))
    out = p.copy()
    out[place[place >= 0]] = post.numpy()[place >= 0]
    return out


def likely_labels(model: BeatModel, examples: Examples) -> NDArray[np.int64]:
    """Label id of each beat, as known or as likely when its strip's label is true; -999 where nothing was said."""
    symbol = given_labels(model, examples).argmax(axis=1)
    said = np.repeat(np.isin(examples.labels, list(STRIP_RULES)), np.diff(examples.bounds))
    likely = np.where(said, np.array(model.labels[: len(SYMBOLS)])[symbol], UNLABELLED)
    return np.where(examples.known >= NOISE, examples.known, likely)


def _of_sources(study: Study, source: NDArray[np.integer]) -> NDArray[np.bool_] | None:
    """Flags of noise of the beats of these strips, one after the other."""
    if study.noise is None:
        return None
    bounds = study.beats.bounds
    return np.concatenate([study.noise[bounds[row] : bounds[row + 1]] for row in source] or [study.noise[:0]])


def _usual_of_patients(study: Study) -> NDArray[np.float32]:
    """Usual interval of each patient, seconds, float32 (p,); NaN where it is not known."""
    count = len(study.references.patient)
    out = np.full(count, np.nan, dtype=np.float32)
    for number in range(count):
        own = study.context.usual_rr[study.beats.patient == number]
        if np.isfinite(own).any():
            out[number] = np.nanmedian(own)
    return out
