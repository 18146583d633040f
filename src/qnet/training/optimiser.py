"""The optimiser of a run: Adam, with the schedule and decay asked for. Imports Keras."""

from __future__ import annotations

import keras

from qnet.training.settings import Settings

#: 'one-cycle': share of the run in which the rate rises, and the factor it rises by, as in
#: Smith & Topin (2018, arXiv:1708.07120) and common implementations of it.
RISE, RISE_FACTOR = 0.3, 25.0

#: 'exponential': factor by which the rate falls over the run.
FALL_FACTOR = 10.0


def make_optimiser(settings: Settings, steps: int) -> keras.optimizers.Optimizer:
    """The optimiser of a run.

    Parameters
    ----------
    settings : Settings
    steps : int
        Batches per epoch.

    Returns
    -------
    keras.optimizers.Optimizer
    """
    total = settings.epochs * steps
    rate = settings.learning_rate
    schedules = keras.optimizers.schedules
    if settings.schedule == "exponential":
        rate = schedules.ExponentialDecay(rate, total, 1 / FALL_FACTOR)
    elif settings.schedule == "cosine":
        rate = schedules.CosineDecay(rate, total)
    elif settings.schedule == "one-cycle":
        rise = max(1, round(RISE * total))
        rate = schedules.CosineDecay(
            rate / RISE_FACTOR,
            max(1, total - rise),
            warmup_target=rate,
            warmup_steps=rise,
        )
    if settings.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    return keras.optimizers.Adam(rate)
