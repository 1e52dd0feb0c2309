"""Benchmarks of dctload, run from a clone: `python -m benchmarks.NAME`, where NAME is a file here without a leading `_`.

`benchmarks.photos` writes their default photographs as files, `benchmarks.readme` renders tables from kept results.

Each prints a table, can write its figures as JSON (`--json`, `--save`) and says where there is no gain. They need
`rich` (tables), `matplotlib` (`--plot`) and, for the default photographs and the rivals, the packages that `--help` names.
"""
