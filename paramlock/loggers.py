"""Ready-made listeners for `paramlock.watch(..., on_record=)`: loggers, and warnings at a bound.

None of the logging libraries is imported here: hand in the writer or the run that you have.
"""

from paramlock.watching.listeners import (
    scalars,
    to_logger,
    to_mlflow,
    to_tensorboard,
    to_wandb,
    warn_when,
)

__all__ = ["scalars", "to_logger", "to_mlflow", "to_tensorboard", "to_wandb", "warn_when"]


def __dir__() -> list[str]:
    return __all__
