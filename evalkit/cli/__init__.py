"""The command line: one `evalkit`, verbs as commands. Heavy imports happen inside the command that needs them."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from studies.errors import UserError, did_you_mean


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run or asked for help."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        """`lazy` maps a command to its `module:attribute` and its one-line help."""
        super().__init__(*args, **kwargs)
        self.lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which they are used."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute = self.lazy[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for an unknown one name the nearest."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(f"No such command {name!r}.{did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and help without importing the commands; a shell asks at each press of a key."""
        if incomplete and not incomplete[0].isalnum():
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=help_line)
            for name, (_, help_line) in self.lazy.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's signature)
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in self.lazy.items()])


STUDY_COMMANDS = {
    "init": ("evalkit.cli.study_init:init", "Make a study folder from folders of images."),
    "import": ("evalkit.cli.study_import:import_", "Make a study folder from answers given elsewhere."),
    "build": (
        "evalkit.cli.study_build:build",
        "Make the uniform stimulus bundle; refuse what would spoil the study.",
    ),
    "audit": ("evalkit.cli.study_audit:audit", "Say what besides the picture tells real from fake."),
    "preregister": (
        "evalkit.cli.study_preregister:preregister",
        "Write the preregistration, OSF-style, from study.toml.",
    ),
    "check": ("evalkit.cli.study_check:check", "Look at everything that should be right before people come."),
    "preview": ("evalkit.cli.study_serve:preview", "Go through a whole session yourself; never counted."),
    "serve": ("evalkit.cli.study_serve:serve", "Run the study for real people (or a pilot)."),
    "simulate": (
        "evalkit.cli.study_simulate:simulate",
        "Let simulated people take part over the same HTTP; marked as such.",
    ),
    "launch": ("evalkit.cli.study_launch:launch", "Bring the study to a panel: draft, publish, pause, stop."),
    "pay": ("evalkit.cli.study_pay:pay", "Pay the participants on the panel; asks before money moves."),
    "status": ("evalkit.cli.study_data:status", "How far each algorithm has come."),
    "pause": ("evalkit.cli.study_state:pause", "Let nobody new begin; whoever is in the middle goes on."),
    "resume": ("evalkit.cli.study_state:resume", "Let people begin again."),
    "close": ("evalkit.cli.study_state:close", "End the study for good, and erase the raw worker ids."),
    "password": ("evalkit.cli.study_state:password", "Set the dashboard's password."),
    "backup": (
        "evalkit.cli.study_backup:backup",
        "Keep a copy of the study and its database, also while it runs.",
    ),
    "restore": ("evalkit.cli.study_backup:restore", "Bring a study back from such a copy."),
    "export": (
        "evalkit.cli.study_data:export",
        "Write responses.csv, sessions.csv, arrivals.csv and admin_acts.csv.",
    ),
    "invite": ("evalkit.cli.study_invite:invite", "Make single-use links for a lab's own participants."),
    "forget": ("evalkit.cli.study_forget:forget_command", "Erase a person who asks for it."),
    "amend": ("evalkit.cli.study_data:amend", "Record why a frozen study changed."),
}

COMMANDS = {
    "data": ("evalkit.cli.data:data", "List and fetch the datasets that generators are trained on."),
    "train": ("evalkit.cli.train:train", "Train a generator; the same command again goes on."),
    "generate": ("evalkit.cli.generate:generate", "Make an image set with a trained generator."),
    "ablate": ("evalkit.cli.ablate:ablate", "Train one generator per loss and seed, and compare them."),
    "study": ("evalkit.cli:study", "Make, run and export a study."),
    "power": ("evalkit.cli.power:power", "People, images, runs and cost that a difference needs."),
    "rehearse": (
        "evalkit.cli.rehearse:rehearse",
        "Run a study many times with simulated people before the first real one.",
    ),
    "analyze": ("evalkit.cli.numbers:analyze", "Estimate what the study planned; writes estimates.jsonl."),
    "report": ("evalkit.cli.numbers:report", "Write report.html and its tables."),
    "metrics": ("evalkit.cli.metrics:metrics", "Score image sets: FID, KID, LPIPS, FCN-scores and more."),
    "segmenter": ("evalkit.cli.segmenter:segmenter", "Train and verify the network behind FCN-scores."),
    "weights": ("evalkit.cli.weights:weights", "Which pretrained files are here, and how to bring them."),
    "doctor": ("evalkit.cli.doctor:doctor", "What is on this machine, and what will not work until what."),
    "demo": ("evalkit.cli.demo:demo", "A whole study on made-up images, from nothing to a report."),
    "completion": (
        "evalkit.cli.completion:completion",
        "What bash, zsh or fish needs to complete commands and options.",
    ),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="evalkit", message="evalkit %(version)s")
def cli() -> None:
    """Do your images fool people, by how much, and how sure are you?"""


@click.group(cls=LazyGroup, lazy=STUDY_COMMANDS)
def study() -> None:
    """Make, run and export a study."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit 0, 1 for what the user can fix, 2 for wrong usage."""
    try:
        cli.main(
            args=list(arguments) if arguments is not None else None, prog_name="evalkit", standalone_mode=True
        )
    except UserError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        from evalkit.extras import missing_package

        advice = missing_package(error)
        if not advice:
            raise
        _fail(advice)


def _fail(text: str) -> NoReturn:
    click.echo(f"{click.style('Error', fg='red', bold=True)}: {text}", err=True)
    sys.exit(1)
