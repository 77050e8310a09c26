"""The colors of the cells, in figures and in MLflow; without matplotlib, so that any command may ask for them."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""In the order of the grid. Okabe & Ito 2008: safe for color blindness."""
