"""The published playground as a Space runs it: downloaded, with a model of the Hub, and none of our checkout."""

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from gradio_client import Client
from huggingface_hub import HfApi

from spectrum_suite.hub.publish import PushOptions, push
from spectrum_suite.hub.space import space_publication
from spectrum_suite.hub.verify import verify
from spectrum_suite.playground.answers import ask, load_models, read_question
from spectrum_suite.playground.drawing import draw_options
from tests.conftest import REPOSITORY
from tests.hub.conftest import talking_to
from tests.small_tokenizers import LLAMA3
from tests.tiny_models import save_model

pytestmark = pytest.mark.hub

SPACE, TUNED = "org/playground", "org/tuned"
FIELDS = ("A ball is drawn from an urn with 3 red balls and a blue one.", "red\nred", "", "red\nblue")


@pytest.fixture
def published(hub, tokenizer_of, tmp_path):
    """The playground and its model, on the Hub."""
    save_model(tmp_path / "tuned", tokenizer_of(LLAMA3))
    with talking_to(hub):
        api = HfApi(token=hub.write_token)
        api.create_repo(TUNED)
        api.upload_folder(repo_id=TUNED, folder_path=tmp_path / "tuned")
        publication = space_publication(REPOSITORY / "demo", SPACE, tuned=TUNED)
        return publication, push(publication, PushOptions(), hub.write_token)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def started(folder, environment):
    """The address of the page, while the program of the Space runs in its folder."""
    port, log = free_port(), folder / "log"
    given = {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONUNBUFFERED": "1"}
    with log.open("w") as output:
        program = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env=environment | given, stdout=output, stderr=output
        )
        try:
            while "Running on local URL" not in log.read_text():
                assert program.poll() is None, log.read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            program.terminate()
            program.wait()


@pytest.mark.usefixtures("published")
def test_the_program_of_the_space_answers(hub, tmp_path):
    with talking_to(hub):
        folder = HfApi(token=False).snapshot_download(SPACE, repo_type="space", local_dir=tmp_path / "space")
    with started(Path(folder), hub.environment(tmp_path / "home", token="")) as address:
        client = Client(address, verbose=False, analytics_enabled=False)
        bars, samples = client.predict(*FIELDS, 5, api_name="/ask")
    question = read_question(*FIELDS)
    assert bars == draw_options(question, ask(load_models(None, str(tmp_path / "tuned")), question, 1, seed=0))
    assert "among 5 (" in samples


def test_a_push_is_loaded_back(hub, published, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    publication, done = published
    (line,) = verify(publication, done, hub.write_token)
    assert line.startswith("spectrum_suite.playground.page: imported, with ")
