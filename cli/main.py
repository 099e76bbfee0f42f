"""The command line: ``audiodiff serve``, ``caption``, ``difference``, ``listen`` and others.

Heavy modules are imported by the commands that need them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from cli import options, terminal
from cli.parser import parser
from model.errors import AudiodiffError, OptionsError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status.

    0, 1 if something failed, 2 for wrong usage; 130 after Ctrl-C and 141 after a broken pipe, as
    the shell has it for programs that such signals end.
    """
    terminal.tolerate_any_text()
    terminal.name_the_user()
    args = parser().parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except ValidationError as error:
        args.parser.error(options.explain(error))
    except OptionsError as error:
        args.parser.error(str(error))
    except BrokenPipeError:
        # Else the interpreter would complain when it flushes what nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (AudiodiffError, OSError) as error:
        terminal.warn(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
