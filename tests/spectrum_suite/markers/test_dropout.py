import numpy as np
import pytest

from spectrum_suite.errors import UserError
from spectrum_suite.markers.dropout import MarkerDropout
from spectrum_suite.markers.taxonomy import TAXONOMY

ROWS = 10_000
MARKERS = {name: position for position, name in enumerate(TAXONOMY.names[:7])}


def prompts(dropout, markers=MARKERS, rows=ROWS):
    return [dropout.prompt_markers(markers, epoch=0, row=row) for row in range(rows)]


@pytest.mark.parametrize(("dataset", "sample"), [(0.5, 0.5), (0.7, 0.3)])
def test_both_dropouts_hit_their_rates(dataset, sample):
    found = prompts(MarkerDropout(dataset, sample))
    error = 4 * np.sqrt(0.25 / ROWS)  # four standard errors at most
    assert np.mean([not kept for kept in found]) == pytest.approx(dataset, abs=error)
    shown = [kept for kept in found if kept]
    assert np.mean([len(kept) for kept in shown]) / len(MARKERS) == pytest.approx(1 - sample, abs=error)
    for name in MARKERS:
        assert np.mean([name in kept for kept in shown]) == pytest.approx(1 - sample, abs=2 * error)


def test_half_of_an_example_is_a_half():
    for n_markers in (0, 1, 2, 6, 7):
        markers = dict(list(MARKERS.items())[:n_markers])
        counts = {len(kept) for kept in prompts(MarkerDropout(dataset=0), markers, rows=200)}
        assert counts == {n_markers // 2, n_markers - n_markers // 2}


def test_the_extremes():
    assert all(kept == MARKERS for kept in prompts(MarkerDropout(0, 0), rows=200))
    assert not any(prompts(MarkerDropout(1, 0), rows=200))
    assert not any(prompts(MarkerDropout(0, 1), rows=200))


def test_what_is_kept_is_in_order_with_its_values():
    for kept in prompts(MarkerDropout(), rows=200):
        assert list(kept.items()) == [pair for pair in MARKERS.items() if pair[0] in kept]


def test_the_dropout_depends_on_seed_epoch_row_and_draw_alone():
    def kept(seed=42, epoch=0, draw=0):
        dropout = MarkerDropout(seed=seed)
        return [dropout.prompt_markers(MARKERS, epoch=epoch, row=row, draw=draw) for row in range(50)]

    assert kept() == kept()
    assert kept()[::-1] == [MarkerDropout().prompt_markers(MARKERS, epoch=0, row=row) for row in range(49, -1, -1)]
    for other in (kept(seed=43), kept(epoch=1), kept(draw=1)):
        assert other != kept()


def test_the_markers_themselves_stay_whole():
    markers = dict(MARKERS)
    MarkerDropout(0, 1).prompt_markers(markers, epoch=0, row=0)
    assert markers == MARKERS


@pytest.mark.parametrize("options", [{"dataset": 1.1}, {"sample": -0.1}])
def test_a_share_is_between_0_and_1(options):
    with pytest.raises(UserError, match="give a share from 0 to 1"):
        MarkerDropout(**options)
