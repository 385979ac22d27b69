"""The picture of a graph: what depends on what, what passes, what is wrong, what became of it."""

from physlab.report.overview.draw import draw_overview, draw_overview_svg

__all__ = ["draw_overview", "draw_overview_svg"]
