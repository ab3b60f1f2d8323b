"""Programs that play Renode's parts, `renode` and `renode-test`, with Unicorn behind them.

`renode-test` is the loop of Renode 1.16.1's own: it adds keywords to each suite, resets the emulation before a test,
and prints the lines that start and end it. Like a packaged one (tools/packaging/common_copy_files_portable.sh), it
appends `-r $(pwd)` to its arguments, unquoted: Robot's report lies in the working folder whatever -r says, and a space
in that folder's path is an error.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

KEYWORDS = Path(__file__).with_name("renode_keywords.py")
ROOT = Path(__file__).parents[2]
VERSION = "1.16.1"

_PROGRAM = """#!{python}
import sys
sys.path.insert(0, {root!r})
from tests.support import fake_renode
sys.exit(fake_renode.{function}())
"""


def install(folder: Path) -> Path:
    """Writes both programs; the path of `renode`."""
    for name, function in (("renode", "renode"), ("renode-test", "renode_test")):
        path = folder / name
        path.write_text(_PROGRAM.format(python=sys.executable, root=str(ROOT), function=function), encoding="utf-8")
        path.chmod(0o755)
    return folder / "renode"


def renode() -> int:
    """`renode --version`, or a script that our emulator wrote, by the keywords that know the Monitor's commands."""
    from tests.support.renode_keywords import renode_keywords

    if "--version" in sys.argv:
        print(f"Renode, version {VERSION} (0000000-000000000000)")
        return 0
    assert sys.argv[1:4] == ["--disable-gui", "--console", "--plain"]
    keywords, console = renode_keywords(), None
    for line in Path(sys.argv[4]).read_text(encoding="utf-8").splitlines():
        command = line.replace("$ORIGIN/", "@")
        if "CreateFileBackend" in command:
            uart, _, path, flush = command.split()
            assert flush == "true"
            keywords.create_terminal_tester(uart, timeout=1)
            console = Path(path.removeprefix("@"))
        elif command.startswith("emulation RunFor"):
            assert console is not None
            keywords.start_emulation()
            print("\n".join(keywords.log))
            console.write_text("".join(f"{text}\r\n" for text in keywords.lines), encoding="utf-8")
        elif command not in ("using sysbus", "quit"):
            keywords.execute_command(command)
    sys.stdout.flush()
    time.sleep(60)  # Renode goes on in virtual time until it is ended
    return 0


def renode_test() -> int:
    """As Renode's own."""
    from robot.running import TestSuiteBuilder

    parser = argparse.ArgumentParser()
    parser.add_argument("-r", dest="results", type=Path, required=True)
    parser.add_argument("--variable", action="append", default=[])
    parser.add_argument("--test-timeout")
    parser.add_argument("suites", nargs="+", type=Path)
    options = parser.parse_args([*sys.argv[1:], "-r", *str(Path.cwd()).split()])
    failed = 0
    for path in options.suites:
        suite = TestSuiteBuilder().build(str(path))
        suite.resource.imports.library(str(KEYWORDS))
        for test in suite.tests:
            test.setup.config(name="Reset Emulation")
            test.timeout = options.test_timeout
        report = options.results / f"results-{path.stem}.robot.xml"
        failed += suite.run(
            console="none", listener=[_Listener()], output=str(report), log=None, report=None, variable=options.variable
        ).return_code
    return 1 if failed else 0


class _Listener:
    """The lines around a test."""

    ROBOT_LISTENER_API_VERSION = 3

    def start_test(self, data, result):  # type: ignore[no-untyped-def]
        print(f"+++++ Starting test '{data.longname}'", flush=True)

    def end_test(self, data, result):  # type: ignore[no-untyped-def]
        status = "\033[92mOK\033[0m" if result.passed else "\033[91mfailed\033[0m"
        print(f"+++++ Finished test '{data.longname}' in 0.10 seconds with status {status}", flush=True)
