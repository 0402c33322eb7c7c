"""Charts as a user gets them, without the look of the course."""

import matplotlib

from paramlock.pictures import figures


def test_long_names_stand_inside_the_picture():
    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        figure, axes = figures.chart("", "", "", size=(4.0, 2.4))
        axes.set_xticks([0, 1], ["encoder.layers.11.dense", "head"], rotation=45, ha="right")
        image = figures.pixels(figure)[..., :3]
    assert (image[-1] == 255).all(), "no ink is cut off at the lower edge"
    assert (image[:, 0] == 255).all(), "nor at the left one"
