"""The commands ``qnet survey``: ``run`` and ``status``, and ``merge`` of another module."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from qnet.cli import parser as shared
from qnet.cli import survey_merge
from qnet.cli.common import (
    FAILED,
    OK,
    complain,
    count,
    print_json,
    show_warning,
    summarise,
)
from qnet.core.exports import EXPORTS

if TYPE_CHECKING:
    from qnet.core.errors import Failure
    from qnet.survey import Status


def configure(add_parser: shared.AddParser) -> None:
    """Add the command and its actions."""
    survey = add_parser(
        description="Classify the files of a survey, on one machine or many; a run can be killed "
        "and started again.",
        examples=(
            "qnet survey run 'tiles/**/coadd-*.fits' -o out",
            "qnet survey status out",
        ),
    )
    survey.set_defaults(command=survey.show_help)
    actions: Any = survey.add_subparsers(title="actions", metavar="ACTION")
    _configure_run(actions)
    status = shared.action(
        actions,
        "status",
        "Print the progress of a survey, and the files that failed",
        ", also during the run",
        examples=("qnet survey status out", "qnet survey status out --json"),
    )
    status.add_argument("outdir", metavar="OUTDIR", help="folder of the survey")
    shared.as_json(status)
    status.set_defaults(command=_status)
    survey_merge.configure(actions)


def _configure_run(actions: Any) -> None:
    """Add ``qnet survey run``."""
    places = "files, patterns ('tiles/**/coadd-*.fits') or folders of FITS files of spectra"
    run = shared.action(
        actions,
        "run",
        "Classify files, each into a catalogue of its own",
        ". Run the command again to classify files that are new, failed or changed",
        parents=[
            shared.spectra(text=places),
            shared.output(
                "folder of the catalogues: a new one, or that of this survey",
                "classify all files again if options, model or version of qnet changed",
            ),
            shared.model(),
            shared.criterion(),
            shared.chosen_rows(),
        ],
        examples=(
            "qnet survey run 'tiles/**/coadd-*.fits' -o out",
            "qnet survey run 'tiles/**/coadd-*.fits' -o out --shard $SLURM_ARRAY_TASK_ID/100",
        ),
    )
    shared.add(run, "--to", tuple(EXPORTS), "format, see qnet export (default: qnet's catalogue)")
    text = "also write redshift distributions, to a file beside each catalogue"
    run.add_argument("--pz", action="store_true", help=text, dest="with_pz")
    group = run.add_argument_group("where it runs")
    one = group.add_mutually_exclusive_group()
    text = "processes of this machine (default: one per CPU that may be used)"
    shared.add(one, "--workers", "N", text, type=int)
    text = "workers of a Dask cluster, by the address of its scheduler (default: none)"
    shared.add(one, "--dask", "ADDRESS", text)
    one.add_argument("--mpi", action="store_true", help="ranks of MPI, under mpirun or srun")
    text = "part K of N of the files, for a job array (default: all)"
    shared.add(group, "--shard", "K/N", text)
    text = "threads in each process (default: one per CPU, divided among the processes)"
    shared.add(group, "--threads", "N", text, type=int)
    hint = "what is done is kept: the same command goes on"
    run.set_defaults(command=_run, ended=hint)


class _Terminal:
    """What a run tells, on the terminal."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def failure(self, failure: Failure) -> None:
        """An input failed."""
        complain(failure.error)

    def warning(self, message: str) -> None:
        """A warning about an input."""
        show_warning(message)

    def note(self, message: str) -> None:
        """What is to be done."""
        if not self._quiet:
            print(f"qnet: {message}", flush=True)


def _run(arguments: argparse.Namespace) -> int:
    """Run ``qnet survey run``."""
    from qnet.survey.progress import status
    from qnet.survey.running import Request, run_survey

    request = Request(
        inputs=arguments.inputs,
        outdir=arguments.output,
        options=shared.classification_options(arguments) | shared.reading(arguments),
        pz=arguments.with_pz,
        **shared.given(arguments, "model to workers dask mpi shard threads overwrite"),
    )
    failures = run_survey(request, _Terminal(arguments.quiet), not arguments.quiet)
    if failures is None:  # a rank that worked for the first one
        return OK
    summarise(arguments, f"{_in_words(status(arguments.output))} -> {arguments.output}")
    return FAILED if failures else OK


def _in_words(found: Status) -> str:
    """How far a survey is, in a line."""
    words = [
        f"{count(found.quasars, 'quasar')} in {count(found.spectra, 'spectrum')} of "
        f"{count(found.done, 'file')}"
    ]
    words += [f"{count(found.failed, 'file')} failed"] if found.failed else []
    words += [f"{count(found.pending, 'file')} to do"] if found.pending else []
    return ", ".join(words)


def _status(arguments: argparse.Namespace) -> int:
    """Run ``qnet survey status``."""
    from qnet.core.plain import for_json
    from qnet.survey.progress import status

    found = status(arguments.outdir)
    if arguments.json:
        failures = [
            {"files": each.paths, "error": type(each.error).__name__, "message": str(each.error)}
            for each in found.failures
        ]
        return print_json(for_json(found) | {"failures": failures})
    print(f"qnet: {_in_words(found)}")
    if found.running:
        left = "" if found.seconds_left is None else f", {_duration(found.seconds_left)} left"
        print(
            f"qnet: {count(found.running, 'run')} at work: {found.files_per_second:.3g} files/s, "
            f"{found.spectra_per_second:.3g} spectra/s{left}"
        )
    for failure in found.failures:
        print(f"qnet: failed: {failure.error}")
    return OK


def _duration(seconds: float) -> str:
    """A time in hours and minutes."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes else f"{seconds:.0f} s"
