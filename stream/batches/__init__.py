"""Batches: the internal log's unit. Decoded rows as packed columns, many models in one message."""

from stream.batches.blocks import Batch, Block, ControlRow
from stream.batches.splitting import Row, batches_of
from stream.batches.wire import decode_batch, encode_batch, encoded_size

__all__ = [
    "Batch",
    "Block",
    "ControlRow",
    "Row",
    "batches_of",
    "decode_batch",
    "encode_batch",
    "encoded_size",
]
