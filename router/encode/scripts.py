"""Scripts other than Latin, as ranges of characters for regular expressions."""

UNSPACED = r"\u0e01-\u0e4e\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Thai, kana, Han: written without spaces
SPACED = r"\u0400-\u052f\u0620-\u064a\u066e-\u06d3\uac00-\ud7a3"  # Cyrillic, Arabic, Hangul
