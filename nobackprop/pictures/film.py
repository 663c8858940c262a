"""Moving pictures: a few small frames with a slider and a button, in a notebook and in a page without a server."""
from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure
from PIL import Image

from ..errors import InputError, brief
from .frame import png

COLOURS = 48  # of a frame: lines and letters need no more, and a frame has a third of the bytes
SLIDE = ("var f=this.closest('figure').querySelectorAll('img');"
         "for(var i=0;i<f.length;i++)f[i].style.display=i==this.value?'block':'none'")
PLAY = ("var s=this.closest('figure').querySelector('input'),b=this;clearInterval(b.timer);s.value=0;"
        "b.timer=setInterval(function(){{s.dispatchEvent(new Event('input'));"
        "if(+s.value>=+s.max)clearInterval(b.timer);else s.value=+s.value+1}},{pause})")


@dataclass(frozen=True)
class Film:
    """Pictures one after the other; a notebook shows the last one, a slider, and a button that plays them.

    Parameters
    ----------
    figures : sequence of matplotlib.figure.Figure
        The frames, all of one size.
    words : str
        What is to be seen, for readers who do not see it.
    dpi : int
        How many pixels an inch has.
    pause : int
        Milliseconds from one frame to the next.

    Raises
    ------
    InputError
        If there is no frame.

    Notes
    -----
    The frames stand in the text of the output itself, and nothing is loaded from elsewhere.  If a page runs no scripts,
    it shows the last frame.

    Examples
    --------
    >>> film = Film([Figure(figsize=(1, 1)), Figure(figsize=(1, 1))], "nothing moves", dpi=10)
    >>> film, film._repr_html_().count("<img")
    (Film of 2 frames: nothing moves, 2)
    """

    figures: Sequence[Figure]
    words: str
    dpi: int = 80
    pause: int = 200

    def __post_init__(self) -> None:
        if not len(self.figures):
            raise InputError(f"figures is {brief(self.figures)}, expected one frame at least")

    def __repr__(self) -> str:
        return f"Film of {len(self.figures)} frames: {self.words}"

    def _repr_html_(self) -> str:
        last = len(self.figures) - 1
        shown = [base64.b64encode(small(figure, self.dpi)).decode() for figure in self.figures]
        frames = "\n".join(f'<img alt="{escape(self.words)}" style="display:{"block" if i == last else "none"}" '
                           f'src="data:image/png;base64,{text}">' for i, text in enumerate(shown))
        return (f'<figure style="margin:0">\n{frames}\n'
                f'<button onclick="{PLAY.format(pause=self.pause)}">Play</button>\n'
                f'<input type="range" min="0" max="{last}" value="{last}" aria-label="frame" oninput="{SLIDE}">\n'
                '</figure>')


def small(figure: Figure, dpi: int) -> bytes:
    """Return a figure as a PNG file of few colours.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    dpi : int
        How many pixels an inch has.

    Returns
    -------
    bytes

    Examples
    --------
    >>> figure = Figure(figsize=(2, 2))
    >>> _ = figure.subplots().plot([0, 1])
    >>> len(small(figure, 50)) < len(png(figure, 50))
    True
    """
    with Image.open(io.BytesIO(png(figure, dpi))) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    few.save(stream, format="png", optimize=True)
    return stream.getvalue()
