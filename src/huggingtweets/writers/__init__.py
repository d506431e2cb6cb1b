"""What draws tokens from a model folder: `fast` by CTranslate2 where it can, `mixed` for adapters over one base, and
`plain` by transformers everywhere.

All sample from one distribution and look the same from outside; `base` says how.
"""
