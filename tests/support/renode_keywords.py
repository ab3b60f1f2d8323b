"""Renode's Robot keywords as far as our tests use them: a dry run checks names and arguments, nothing runs."""


class renode_keywords:
    """Robot finds a library by its module's name. Renode 1.16.1: RenodeKeywords, UartKeywords, LogTester."""

    ROBOT_LIBRARY_SCOPE = "GLOBAL"

    def execute_command(self, command, machine=None):  # type: ignore[no-untyped-def]
        """Runs a command of the Monitor."""

    def create_log_tester(self, timeout, defaultPauseEmulation=None):  # type: ignore[no-untyped-def]
        """Watches the log."""

    def create_terminal_tester(self, uart, timeout=None, machine=None, defaultPauseEmulation=None):  # type: ignore[no-untyped-def]
        """Watches a UART."""

    def start_emulation(self):  # type: ignore[no-untyped-def]
        """Starts all machines."""

    def wait_for_line_on_uart(self, content, timeout=None, testerId=None, treatAsRegex=False, pauseEmulation=None):  # type: ignore[no-untyped-def]
        """Waits for a line."""

    def should_not_be_in_log(self, pattern, timeout=None, testerId=None, treatAsRegex=False):  # type: ignore[no-untyped-def]
        """Fails when the log holds the text."""
