"""Figures of a training."""

from pipeline.figures.training import learning_curves


def test_the_best_score_is_drawn_from_the_first_probe_that_has_one() -> None:
    """A probe that looks at a part of the held-out sequences has no best score."""
    curves = [{"update": 20.0, "loss": 1.0}, {"update": 50.0, "score/held_out": 0.2}]
    later = [*curves, {"update": 100.0, "score/held_out": 0.1, "score/best": 0.05}]
    for shown, points in ((curves, (1, 0)), (later, (2, 1))):
        axes = learning_curves(shown, 0.01, 0.5, "title").axes[0]
        median, best = axes.get_lines()[:2]
        assert (len(median.get_xdata()), len(best.get_xdata())) == points
