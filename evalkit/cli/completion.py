"""`evalkit completion`: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_EVALKIT_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    r"""Print the completion script of a SHELL.

    \b
    bash:  echo 'eval "$(evalkit completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(evalkit completion zsh)"' >> ~/.zshrc
    fish:  evalkit completion fish > ~/.config/fish/completions/evalkit.fish
    """
    from evalkit.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    writer = kind(cli, {}, "evalkit", VARIABLE)
    click.echo(writer.source_template % writer.source_vars())  # `source()` would ask bash for its version
