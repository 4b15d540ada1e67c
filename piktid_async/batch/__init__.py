"""Batches: any number of products, one job each, with a journal that survives any crash."""

from piktid_async.batch.journal import JournalError
from piktid_async.batch.products import BadProduct, Doubt, Product, ProductOutcome
from piktid_async.batch.readers import read_csv, read_folder, read_jsonl
from piktid_async.batch.run import Batch
from piktid_async.batch.summary import BatchSummary, Enqueued, Failure, Plan
from piktid_async.batch.worker import Worker

__all__ = [
    "BadProduct",
    "Batch",
    "BatchSummary",
    "Doubt",
    "Enqueued",
    "Failure",
    "JournalError",
    "Plan",
    "Product",
    "ProductOutcome",
    "Worker",
    "read_csv",
    "read_folder",
    "read_jsonl",
]
