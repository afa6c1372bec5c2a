"""Runs the campaigns chunk by chunk: ``python -m hardening --record FILE`` goes on where FILE stands, to the end.

A chunk that is interrupted counts for nothing and is run again. Without a record each runs once, in the quick form.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardening.campaign import Campaign
from hardening.chunk import campaigns
from hardening.record import add_chunk, begun_record, read_record, row_of, write_record

_QUICK_SECONDS, _CHUNK_SECONDS = 30.0, 180.0
_PATIENCE_SECONDS = 3_600.0  # for what a chunk does besides, and the tools beside it
_REPRODUCERS = Path(".hardening")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs them; 1 where one found a failure, 130 where it was interrupted."""
    options = _parse(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = [one for one in campaigns() if not options.only or one.name in options.only]
    run = _Run(options, chosen)
    # What a chunk leaves that is killed goes with it.
    with tempfile.TemporaryDirectory(
        prefix="cifar-hardening-", ignore_cleanup_errors=True
    ) as folder:
        os.environ["TMPDIR"] = folder
        try:
            run.go_on()
        except KeyboardInterrupt:
            run.end()
            return 130
    return int(any(row["failures"] for row in run.record["campaigns"]))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hardening", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE", help="go on from it, to the end")
    parser.add_argument("--fresh", action="store_true", help="forget what the record counts")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no chunk after so many")
    parser.add_argument("--seed", type=int, default=0, help="of the first chunk")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these campaigns alone")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="chunks at once (2)")
    return parser.parse_args(argv)


class _Run:
    """The chunks that run, and the record to which they are added."""

    def __init__(self, options: argparse.Namespace, chosen: Sequence[Campaign]) -> None:
        self._path: Path | None = options.record
        self._chosen, self._workers = chosen, options.workers
        self._until = time.monotonic() + 60 * options.minutes
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[str]] = {}
        if self._path is not None and self._path.exists():
            self.record = read_record(self._path)
        else:
            self.record = begun_record(options.seed)
        if options.fresh:
            names = {one.name for one in chosen}
            kept = [row for row in self.record["campaigns"] if row["name"] not in names]
            self.record["campaigns"] = kept

    def go_on(self) -> None:
        """Runs chunk after chunk until every campaign is done, or the time is up."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def end(self) -> None:
        """Ends the chunks that run; they count for nothing."""
        with self._lock:
            self._until = 0
            for process in self._running.values():
                os.killpg(process.pid, signal.SIGKILL)

    def _work(self) -> None:
        while (begun := self._begun()) is not None:
            campaign, seed, process = begun
            found = _ended(process)
            with self._lock:
                del self._running[campaign.name]
                if self._until == 0:
                    return
                add_chunk(self.record, campaign, found)
                if self._path is not None:
                    write_record(self._path, self.record)
            _say(campaign, seed, found)

    def _begun(self) -> "tuple[Campaign, int, subprocess.Popen[str]] | None":
        """A chunk of the campaign that took the least time so far, so that all advance."""
        with self._lock:
            waiting = [one for one in self._chosen if self._left(one) > 0]
            if not waiting or time.monotonic() > self._until:
                return None
            campaign = min(waiting, key=lambda one: _spent(row_of(self.record, one)))
            seed = self.record["seed"] + row_of(self.record, campaign)["chunks"]
            cases = min(campaign.chunk, self._left(campaign))
            command = _command(
                campaign.name,
                seed=seed,
                cases=cases if self._path else campaign.cases["quick"],
                seconds=_CHUNK_SECONDS if self._path else _QUICK_SECONDS,
                reproducers=_REPRODUCERS,
            )
            process = self._running[campaign.name] = _started(command)
            return campaign, seed, process

    def _left(self, campaign: Campaign) -> int:
        """How many cases are left to begin: none while a chunk of it runs, or where it cannot run here."""
        row = row_of(self.record, campaign)
        if campaign.name in self._running or "skipped" in row["measured"]:
            return 0
        if self._path is None:
            return 0 if row["chunks"] else campaign.cases["quick"]
        return max(0, campaign.cases["nightly"] - int(row["cases"]))


def _spent(row: Mapping[str, Any]) -> float:
    return float(row["seconds"] + sum(one["seconds"] for one in row["beside"].values()))


def _command(name: str, **options: Any) -> list[str]:
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return [sys.executable, "-m", "hardening.chunk", name, *words]


def _started(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the chunk found; where it did not say so, how it ended, which is a failure."""
    try:
        text, _ = process.communicate(timeout=_CHUNK_SECONDS + _PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        text = ""
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        how = f"the campaign ended with {process.returncode}"
        return {
            "cases": 1,
            "failures": 1,
            "outcomes": {how: 1},
            "seconds": 0.0,
            "measured": {},
            "reproducers": [],
            "beside": {},
        }
    return found


def _say(campaign: Campaign, seed: int, found: Mapping[str, Any]) -> None:
    for tool, facts in {"": found, **found["beside"]}.items():
        name = f"{campaign.name}, {tool} alone" if tool else campaign.name
        bound = facts.get("upper_bound_95")
        words = ", ".join(f"{count:,} {word}" for word, count in facts["outcomes"].items())
        rate = "" if bound is None else f"; failure rate below {bound:.2g} (95 %)"
        further = "".join(f"; {key} {value}" for key, value in facts["measured"].items())
        sys.stdout.write(
            f"{name}: seed {seed}, {facts['cases']:,} cases in {facts['seconds']:.0f} s: "
            f"{facts['failures']} failures{rate} ({words}){further}\n"
        )
    for reproducer in found["reproducers"][:10]:
        sys.stdout.write(f"  reproducer: {ascii(reproducer)[1:-1]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
