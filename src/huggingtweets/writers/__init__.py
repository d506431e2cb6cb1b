"""What draws tokens from a model folder: `fast` by CTranslate2 where it can, `plain` by transformers everywhere.

Both sample from one distribution and look the same from outside; `base` says how.
"""
