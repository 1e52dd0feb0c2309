"""Models that learn from DCT coefficients; installed as `dctload.models`.

The papers' models (DCTNet, FUN, MSNet, WAE) land here, one file a family. Nothing is in it yet.
"""

if __name__ != "dctload.models":
    raise ImportError("import dctload.models, not models: the second copy would have a registry of its own")
