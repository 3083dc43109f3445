"""Imports evaluations of other projects into the three parquet files that `router.data.dataset` reads.

Each format has a module that yields `Evaluation`s. `collect` checks them, `placement` gives ids and splits, `merge` joins them with
the data of the folder, and `folder` writes the files.
"""
