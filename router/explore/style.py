"""Colours and resolution of the pictures."""

# After Paul Tol's qualitative schemes. Distinct on white, on near-black, and for most colour-blind readers.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccaa33", "#33bbee", "#aa3377", "#ee7733", "#009988", "#8866cc", "#bb5544")
GREY = "#8a919c"
INK, FAINT = "#22262e", "#d9dde3"
DPI = 150
