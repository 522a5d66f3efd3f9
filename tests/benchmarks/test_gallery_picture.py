"""The gallery: measured with both models, drawn from the numbers alone."""

import json

import pytest

from benchmarks import gallery_picture
from spectrum_suite.errors import UserError
from tests.tiny_models import save_model


def test_both_models_are_asked_about_every_world(tmp_path, tokenizer_of):
    base, tuned = (save_model(tmp_path / name, tokenizer_of("llama3"), seed=seed) for seed, name in enumerate("ab"))
    numbers, image = tmp_path / "numbers.json", tmp_path / "picture.png"
    gallery_picture.main(str(base), str(tuned), "colon", numbers, image)
    found = json.loads(numbers.read_text())
    assert [world["name"] for world in found["worlds"]] == [world.name for world in gallery_picture.worlds()]
    for world in found["worlds"]:
        for side in ("base", "tuned"):
            assert len(world["answers"][side]["probabilities"]) == len(world["options"])
            assert sum(world["answers"][side]["probabilities"]) == pytest.approx(1, abs=0.01)
        if world["truth"]:
            assert sum(world["truth"]) == pytest.approx(1)
    states = next(world for world in found["worlds"] if len(world["options"]) == 50)
    assert states["answers"]["base"] != states["answers"]["tuned"]
    image.unlink()
    gallery_picture.main(None, None, "colon", numbers, image)
    assert 10_000 < image.stat().st_size < 200_000


def test_one_model_alone_makes_no_gallery(tmp_path):
    with pytest.raises(UserError, match="both models"):
        gallery_picture.main("a", None, "colon", tmp_path / "n.json", tmp_path / "p.png")
    with pytest.raises(UserError, match="not found: measure them"):
        gallery_picture.main(None, None, "colon", tmp_path / "n.json", tmp_path / "p.png")
