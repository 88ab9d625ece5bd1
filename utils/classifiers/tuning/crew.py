"""Worker processes of this machine, started for a study and stopped with it; one that is killed is replaced."""

import os
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import IO, Self

from utils import settings
from utils.classifiers.tuning.storages import Location
from utils.errors import DataError, SettingsError

MODULE = "utils.classifiers.tuning.worker"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")
REPLACEMENTS = 3
"""How often a worker is replaced before something else must be wrong."""

STOP_SECONDS = 20.0
"""Seconds that a worker has to put its trial back."""


class Crew:
    """So many workers of one study.

    Args:
        location: where the study is kept.
        study: its name.
        workers: how many.
    """

    def __init__(self, location: Location, study: str, workers: int) -> None:
        self.location, self.study, self.workers = location, study, workers
        self.replaced, self._deserted = 0, False
        self._running: list[subprocess.Popen[bytes]] = []
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the crew

    def __enter__(self) -> Self:
        self._running = [self._started() for _ in range(self.workers)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._errors.close()

    @property
    def pids(self) -> list[int]:
        """Process numbers of those that are running."""
        return [process.pid for process in self._running if process.poll() is None]

    def tend(self, left: int) -> None:
        """Replace workers that were killed, as long as there is work for them.

        One that was asked to end is replaced only if nobody is left: whoever asked may want its core. As the last ones
        also end when the study does, that nobody is left must be seen twice.

        Args:
            left: trials that are not finished.

        Raises:
            SettingsError: if a worker refuses to work.
            DataError: if they are killed again and again.
        """
        codes = [process.poll() for process in self._running]
        deserted = all(code == 0 for code in codes)
        for place, code in enumerate(codes):
            if code is None or (code < 0 and len(self.pids) >= left):
                continue
            if code > 0:
                raise SettingsError(self._complaint())
            if code < 0 or (deserted and self._deserted and not self.pids):
                self._replace(place, code)
        self._deserted = deserted

    def _replace(self, place: int, code: int) -> None:
        """Start another worker in the place of one.

        Raises:
            DataError: if that was done too often.
        """
        if self.replaced >= REPLACEMENTS * self.workers:
            why = f"by signal {-code}" if code else "asked to end"
            raise DataError(
                f"workers of {self.study!r} must live long enough for a trial, found {self.replaced + 1} killed "
                f"(the last {why}): give them more memory, or fewer of them"
            )
        self.replaced += 1
        self._running[place] = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        """Start a worker that ends when the study is finished or this process is gone."""
        environment = os.environ | dict.fromkeys(THREADS, "1")
        environment |= {"ANOMALY_STUDIES": self.location.address, "ANOMALY_ROOT": str(settings.current().root)}
        command = [sys.executable, "-m", MODULE, "--quiet", "--parent", str(os.getpid()), self.study]
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors
        )

    def _complaint(self) -> str:
        """The last line that a worker wrote before it ended."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"a worker of {self.study!r} ended without a word: start it by hand to see why"
