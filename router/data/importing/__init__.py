"""Evaluations from other projects' files into the three parquet files that `router.data.dataset` reads.

Each format has a module that yields `Evaluation`s; `gathered` collects them, `folder` merges and writes. No torch.
"""
