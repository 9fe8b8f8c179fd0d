"""Two directives that write the reference from the code itself.

`{commands}` gives each command of evalkit a section with its `--help`; `{names} module:REGISTRY` a table of a
registry's names with the first sentence of each entry's documentation.
"""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

HELP_WIDTH = 100


def walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, str, click.Command]]:
    """Every command under `command`: what to type, its help, itself."""
    yield context.command_path, command.get_help(context), command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            under = command.get_command(context, name)
            if under is None:
                raise LookupError(f"{context.command_path} {name}: listed and not there")
            yield from walk(
                under, click.Context(under, info_name=name, parent=context, **under.context_settings)
            )


def all_commands() -> Iterator[tuple[str, str, click.Command]]:
    """Every command of evalkit, the group itself first."""
    from evalkit.cli import cli

    context = click.Context(cli, info_name="evalkit", terminal_width=HELP_WIDTH, **cli.context_settings)
    yield from walk(cli, context)


def about(entry: Any) -> str:
    """The first sentence of an entry's documentation: its own for a class, else its module's."""
    kind = entry if inspect.isclass(entry) or inspect.isfunction(entry) else type(entry)
    own = inspect.getdoc(kind) if inspect.isclass(kind) else inspect.getdoc(inspect.getmodule(kind))
    if not own:
        raise LookupError(f"{entry!r}: has no documentation")
    return " ".join(own.split("\n\n")[0].split())


def table(rows: Mapping[str, str]) -> nodes.table:
    """Two columns: the name as it is typed, and what it is."""
    body = nodes.tbody()
    for name, what in rows.items():
        row = nodes.row()
        for cell in (nodes.literal(text=name), nodes.Text(what)):
            row += nodes.entry("", nodes.paragraph("", "", cell))
        body += row
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (1, 3)), body, cols=2)
    return nodes.table("", group)


class Commands(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        """The sections, in the order of `--help`."""
        self.env.note_reread()  # the page changes with the code, not with its own text
        sections: list[nodes.Node] = []
        for path, text, _ in all_commands():
            section = nodes.section(ids=[nodes.make_id(path)], names=[nodes.fully_normalize_name(path)])
            section += nodes.title("", "", nodes.literal(text=path))
            section += nodes.literal_block(text, text, language="text")
            sections.append(section)
        return sections


class Names(SphinxDirective):
    """A registry's names and what each is."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """One table."""
        self.env.note_reread()
        module, attribute = self.arguments[0].split(":")
        registry = getattr(importlib.import_module(module), attribute)
        return [
            table(
                {
                    name: " ".join(entry.split()) if isinstance(entry, str) else about(entry)
                    for name, entry in registry.items()
                }
            )
        ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Make both directives known."""
    app.add_directive("commands", Commands)
    app.add_directive("names", Names)
    return {"parallel_read_safe": True}
