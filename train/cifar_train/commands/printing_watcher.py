"""Prints a run's progress to stderr: a bar for batches, a line for each epoch."""

from typing import TYPE_CHECKING

from cifar_runtime.commands.progress import ProgressLine, duration

if TYPE_CHECKING:
    from cifar_train.run.state import Epoch, RunState


class PrintingWatcher:
    """Prints a run's progress to stderr."""

    def __init__(self, epochs: int, *, quiet: bool) -> None:
        self.line = ProgressLine("", quiet=quiet)
        self.has_finished_epoch = False
        self._epochs, self._epoch = epochs, 0

    def on_batch(self, epoch: int, seen: int, total: int) -> None:
        """Moves the bar."""
        if epoch != self._epoch:
            self._epoch = epoch
            self.line.begin(f"epoch {epoch}/{self._epochs}")
        self.line.update(seen, total)

    def update(self, done: int, total: int) -> None:
        """Moves the bar of what follows the last epoch: the finished model's evaluation."""
        if self._epoch != -1:
            self._epoch = -1
            self.line.begin("evaluating")
        self.line.update(done, total)

    def on_epoch(self, epoch: "Epoch", state: "RunState") -> None:
        """Prints one line an epoch, with the time that is left at this pace."""
        self.has_finished_epoch = True
        pace = sum(done.seconds for done in state.epochs) / len(state.epochs)
        left = pace * (self._epochs - epoch.number)
        self.line.say(
            f"epoch {epoch.number}/{self._epochs}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.2%}  "
            f"validation loss {epoch.validation_loss:.4f}  accuracy {epoch.validation_accuracy:.2%}  "
            f"{epoch.images_per_second:,.0f} images/s  {f'{duration(left)} left' if left else 'last'}"
        )
