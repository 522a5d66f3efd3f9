"""`spectrum-suite serve`: what is wrong is said before the model is loaded, and what is right answers."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from spectrum_suite.commands.serve import KEY, listening_on, main
from tests.spectrum_suite.serving.service import ASKED, HEADERS, Client
from tests.train_command import REPOSITORY


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "99999"], "--host 127.0.0.1 --port 99999 cannot be opened"),
        (["--orders", "0"], "--orders is 0"),
        (["--read", "labels", "--port", "0"], "read='labels' needs a chat template"),
        (["--read", "words"], "invalid choice: 'words'"),
    ],
)
def test_mistakes_end_in_one_line(model_folder, capsys, words, message):
    model = str(model_folder("chatml"))
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main([model, *words])
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit, match="2"):
        main(["nowhere", "--port", str(taken.getsockname()[1])])
    assert "cannot be opened (Address already in use): give another port" in capsys.readouterr().err


def test_a_service_starts_answers_and_ends(model_folder):
    command = [sys.executable, "-m", "spectrum_suite", "serve", str(model_folder("chatml")), "--port", "0"]
    environment = os.environ | {KEY: "s3cret", "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [*command, "--served_name", "tiny"], cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            lines = []
            for line in running.stderr:
                lines.append(line)
                if found := re.search(r"serving .* on http://127\.0\.0\.1:(\d+)", line):
                    break
            ask = Client(int(found[1]))
            status, content = ask(ASKED, headers=HEADERS | {"Authorization": "Bearer s3cret"})
            assert (status, content["model"]) == (200, "tiny")
            assert ask(ASKED)[0] == 401
            assert not any("s3cret" in line for line in lines)
        finally:
            running.send_signal(signal.SIGINT)
        assert running.wait(60) in (0, 130)


def test_what_is_sent_does_not_wait_for_what_was_sent_before():
    """An answer goes out in two parts."""
    with listening_on("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
