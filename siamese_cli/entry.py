"""Start of the `siamese` command: a child process does the work, and its exit code counts only if it gives one itself.

A library may end its process with code 1 (libgomp does where it gets no thread), an import may fail, and the kernel may
kill what takes too much memory. Code 1 of `siamese verify` means "different", so none of these may pass for it. This
module imports only what Python has loaded at its start.
"""

import os
import signal
import sys

# Added to the code by the child when it ends as it means to: no library ends a process with so high a code.
_MEANT = 128
_TROUBLE = 2
# Signals for the child, and the one that tells of its end.
_AWAITED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def main() -> int:
    """Run the command that the arguments of this process name.

    Returns:
        Its exit code; 2 if the child ends in any way that it did not mean to.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # From before the fork, so that none comes between a look at the child and the wait for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    try:
        child = os.fork()
    except OSError as error:  # no process or no memory is left
        return _fail(f"cannot start: {error.strerror}")
    return _MEANT + _work() if child == 0 else _await(child)


def _work() -> int:
    signal.signal(signal.SIGINT, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
    try:
        from siamese_cli.main import main

        code = main()
    except BaseException as error:
        if os.environ.get("SIAMESE_DEBUG"):
            sys.excepthook(type(error), error, error.__traceback__)
        return _fail(f"{type(error).__name__}: {error}")
    return code if 0 <= code < _MEANT else _TROUBLE


def _interrupt(*_: object) -> None:
    """Raise once: a terminal sends Ctrl-C to both processes, and the parent sends it on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _await(child: int) -> int:
    pid = status = 0
    while not pid:
        number = signal.sigwait(_AWAITED)
        if number != signal.SIGCHLD:
            os.kill(child, number)
        pid, status = os.waitpid(child, os.WNOHANG)
    code = os.waitstatus_to_exitcode(status)
    if code >= _MEANT:
        return code - _MEANT
    how = f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"a library with code {code}"
    return _fail(f"no answer: the process was ended by {how}")


def _fail(words: str) -> int:
    """Print an error, as JSON on stdout as well where that is asked for."""
    try:
        if "--json" in sys.argv:
            import json

            print(json.dumps({"error": words}), flush=True)
        print(f"siamese: {words}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError, MemoryError):
        pass  # nobody reads any more
    return _TROUBLE
