"""Bots over one base write side by side: a batch in which each row has an adapter of its own.

- The base is loaded once a process, an adapter in milliseconds; those used last stay in memory, up to a bound.
- Whoever asks joins the batch at its next token, and a row that is done leaves it (continuous batching, as in Orca:
  https://www.usenix.org/conference/osdi22/presentation/yu). So nobody waits until others have what they asked for.
- Every row draws with chance of its own, so a seed gives the same tokens whoever else is drawing, but for the last
  digits: batches of other shapes round in another order, which now and then tips a draw.
- The order of sampling is transformers': tokens forbidden, temperature, top k, top p.

Not covered: bases that can't be batched so, which is found out by trying, and adapters that are not plain or not ours;
`plain` is for both.
"""

from __future__ import annotations

import functools
import inspect
import queue
import random
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from huggingtweets.adapters import habits_in
from huggingtweets.bases import base_under, load_folder
from huggingtweets.batches import max_tokens_of
from huggingtweets.botdir import key_of, read_as
from huggingtweets.config import LARGEST_SEED, usable_cores
from huggingtweets.devices import choose_device
from huggingtweets.errors import BotError
from huggingtweets.writers.base import BATCH_SEQUENCES, TOP_K, Order
from huggingtweets.writers.files import facts_of, speller_of
from huggingtweets.writers.lowrank import Adapted, Matrices, is_plain, read_adapter, size_of

ADAPTER_BYTES = 256_000_000  # of adapters in memory: some 25 of rank 8 over a base of 135M

_LOADING = threading.Lock()  # so that two who ask at once don't load the base twice


def mixed_writer(folder: Path, name: str, device: str | None) -> MixedWriter | None:
    """The writer of an adapter's folder; None: this one has to be plain.

    Raises BotError where the adapter is damaged or its base is not to be had.
    """
    habits = habits_in(folder)
    if habits is None or not is_plain(folder):
        return None
    base = base_under(folder, name).folder
    with _LOADING:
        engine = _engine(base, key_of(facts_of(base)), choose_device(device).name)
    return MixedWriter(folder, engine, bool(habits.get("prefix"))) if engine.can_mix else None


class MixedWriter:
    """Tokens are handed out as they are drawn."""

    def __init__(self, folder: Path, engine: Engine, has_prefix: bool) -> None:
        self.has_prefix = has_prefix
        self._folder, self._engine, self._key = folder, engine, key_of(facts_of(folder))
        try:
            self._speller = speller_of(folder, self._key)
        except Exception as error:  # the library raises nothing narrower
            raise BotError(f"The tokenizer in {folder} is damaged: {error}.") from error
        self._sampling = read_as(folder / "generation_config.json", _sampling_in)

    @property
    def start(self) -> int:
        return self._sampling.start

    @property
    def context(self) -> int | None:
        return max_tokens_of(self._engine.model)

    def encode(self, text: str) -> list[int]:
        return self._speller.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self._speller.decode(ids)

    def draw(self, order: Order) -> Iterator[tuple[int, int]]:
        seed = secrets.randbelow(LARGEST_SEED) if order.seed is None else order.seed
        adapter = self._engine.adapter(self._folder, self._key)
        threads = choose_device(order.device, order.threads).threads
        yield from self._engine.draw(Request(adapter, order, seed, self._sampling, threads))


@dataclass(frozen=True)
class _Sampling:
    """What `generation_config.json` says besides what an order does."""

    start: int
    ends: tuple[int, ...]
    suppressed: tuple[int, ...]
    top_k: int  # 0: no limit


def _sampling_in(record: dict[str, Any]) -> _Sampling:
    ends = record["eos_token_id"]
    return _Sampling(
        int(record["bos_token_id"]),
        tuple(ends if isinstance(ends, list) else [ends]),
        tuple(record.get("suppress_tokens") or ()),
        int(record.get("top_k", TOP_K) or 0),
    )


@dataclass(eq=False)
class Request:
    """An order, and what it is drawn with."""

    adapter: Matrices
    order: Order
    seed: int
    saved: _Sampling
    threads: int
    drawn: queue.SimpleQueue[tuple[int, int, bool] | BaseException] = field(default_factory=queue.SimpleQueue)
    has_left: bool = False  # nobody listens any more

    def __post_init__(self) -> None:
        self.waiting = deque(Row(self, number) for number in range(self.order.n))

    def fail(self, error: BaseException) -> None:
        self.has_left = True
        self.drawn.put(error)


class Row:
    """One post as it is drawn."""

    def __init__(self, request: Request, number: int) -> None:
        self.request, self.number = request, number
        self.length = len(request.order.prompt)  # in tokens
        self._random = random.Random(f"{request.seed}-{number}")

    def chance(self) -> float:
        return self._random.random()

    def forbidden(self) -> list[int]:
        """Tokens that can't come next."""
        too_short = self.length < self.request.order.sampling.min_length
        return [*self.request.saved.suppressed, *(self.request.saved.ends if too_short else ())]

    def add(self, token: int) -> bool:
        """Tells the next token; whether there are more to come."""
        self.length += 1
        is_done = token in self.request.saved.ends or self.length >= self.request.order.sampling.max_length
        self.request.drawn.put((self.number, token, is_done))
        return not is_done and not self.request.has_left


# --- the engine ----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _engine(base: Path, key: str, device: str) -> Engine:
    """One base at a time, for that is what many bots have in common; `key` tells one from the next in its place."""
    return Engine(load_folder(base)[0].to(device).eval())  # type: ignore[arg-type]


class Engine:
    """A base in memory, and a thread that draws for all requests while there are any."""

    def __init__(self, model: Any) -> None:
        self.model, self.can_mix = model, can_mix(model)
        self._adapted = Adapted(model)
        self._adapters: OrderedDict[tuple[Path, str], Matrices] = OrderedDict()
        self._waiting: deque[Request] = deque()
        self._lock = threading.Lock()
        self._is_working = False

    def adapter(self, folder: Path, key: str) -> Matrices:
        """From memory, or from its folder. Raises BotError for one that is damaged, or of another base."""
        with self._lock:
            found = self._adapters.pop((folder, key), None)
        if found is None:
            found = self._adapted.fitting(read_adapter(folder))
        with self._lock:
            self._adapters[folder, key] = found
            while len(self._adapters) > 1 and sum(map(size_of, self._adapters.values())) > ADAPTER_BYTES:
                self._adapters.popitem(last=False)
        return found

    def draw(self, request: Request) -> Iterator[tuple[int, int]]:
        """(row, token) as they are drawn, those that end a row among them."""
        with self._lock:
            self._waiting.append(request)
            if not self._is_working:
                self._is_working = True
                threading.Thread(target=self._work, name="mixed").start()
        growing = request.order.n
        try:
            while growing:
                drawn = request.drawn.get()
                if isinstance(drawn, BaseException):
                    raise drawn
                number, token, is_done = drawn
                growing -= is_done
                yield number, token
        finally:
            request.has_left = True

    def _work(self) -> None:
        batch = Batch(self.model, self._adapted)
        while True:
            with self._lock:
                new = self._next_rows(BATCH_SEQUENCES - len(batch.rows))
                if not new and not batch.rows:
                    self._is_working = False
                    return
            requests = {row.request for row in (*batch.rows, *new)}
            torch.set_num_threads(max(1, min(usable_cores(), sum(request.threads for request in requests))))
            try:
                batch.step(new)
            except BaseException as error:  # such as a full memory; told to whoever waits for these rows
                for request in requests:
                    request.fail(error)
                batch = Batch(self.model, self._adapted)

    def _next_rows(self, most: int) -> list[Row]:
        """From all who wait in turn."""
        rows: list[Row] = []
        while self._waiting and len(rows) < most:
            request = self._waiting.popleft()
            if request.has_left:
                continue
            rows.append(request.waiting.popleft())
            if request.waiting:
                self._waiting.append(request)
        return rows


class Batch:
    """Rows as they grow: what the model has read of each, padded on the left to one length."""

    def __init__(self, model: Any, adapted: Adapted) -> None:
        self._model, self._adapted = model, adapted
        self.rows: list[Row] = []
        self._cache = _empty_cache(model)
        self._mask = torch.zeros(0, 0, dtype=torch.long, device=model.device)  # (B, T)
        self._last = torch.zeros(0, dtype=torch.long, device=model.device)  # (B,)

    @torch.inference_mode()
    def step(self, new: Sequence[Row] = ()) -> None:
        """One more token for every row, those that join included; who is done leaves."""
        logits = []
        if self.rows:
            self._mask = F.pad(self._mask, (0, 1), value=1)
            logits.append(_read(self._model, self._last[:, None], self._mask, self._cache))
        if new:
            logits.append(self._join(new))
        tokens = choose(torch.cat(logits), self.rows)
        growing = [
            place for place, (row, token) in enumerate(zip(self.rows, tokens.tolist(), strict=True)) if row.add(token)
        ]
        self._last = tokens
        if len(growing) < len(self.rows):
            self._keep(growing)

    def _join(self, new: Sequence[Row]) -> Tensor:
        """Reads their prompts; returns what may come next (B, V)."""
        self._adapted.set([row.request.adapter for row in new])
        ids, mask = _padded([row.request.order.prompt for row in new], self._model.device)
        cache = _empty_cache(self._model)
        logits = _read(self._model, ids, mask, cache)
        if self.rows:
            length = max(mask.shape[1], self._mask.shape[1])
            mask = torch.cat([_lengthened(self._mask, length, -1), _lengthened(mask, length, -1)])
            for old, more in zip(self._cache.layers, cache.layers, strict=True):
                more.keys = torch.cat([_lengthened(old.keys, length, -2), _lengthened(more.keys, length, -2)])
                more.values = torch.cat([_lengthened(old.values, length, -2), _lengthened(more.values, length, -2)])
        self._cache, self._mask = cache, mask
        self.rows += new
        self._adapted.set([row.request.adapter for row in self.rows])
        return logits

    def _keep(self, places: list[int]) -> None:
        """These rows, and of what was read no column that is padding to all of them."""
        self.rows = [self.rows[place] for place in places]
        self._last, self._mask = self._last[places], self._mask[places]
        read = self._mask.any(0).nonzero()
        first = int(read[0]) if len(read) else 0
        self._mask = self._mask[:, first:]
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[places, :, first:], layer.values[places, :, first:]
        self._adapted.set([row.request.adapter for row in self.rows])


def _read(model: Any, ids: Tensor, mask: Tensor, cache: Any) -> Tensor:
    """What may come next (B, V), after ids (B, T) at the end of what mask (B, all) says was read or is padding."""
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    read = model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
    logits: Tensor = read.logits[:, -1].float()
    return logits


def _empty_cache(model: Any) -> Any:
    return DynamicCache(config=model.config)


def _padded(prompts: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
    """On the left: ids (B, T), and where they are (B, T)."""
    length = max(map(len, prompts))
    ids = torch.tensor([[0] * (length - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    return ids, mask


def _lengthened(read: Tensor, length: int, dimension: Literal[-1, -2]) -> Tensor:
    """With zeros on the left."""
    more = length - read.shape[dimension]
    return F.pad(read, (more, 0) if dimension == -1 else (0, 0, more, 0))


def choose(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """The next token of each row (B,), of logits (B, V), which are used up."""
    vocabulary = logits.shape[1]
    sampling = [row.request.order.sampling for row in rows]
    for scores, row in zip(logits, rows, strict=True):
        scores[row.forbidden()] = -torch.inf

    def column(values: Iterable[float]) -> Tensor:
        return torch.tensor(list(values), device=logits.device)[:, None]  # (B, 1)

    logits /= column(each.temperature for each in sampling)
    most = [min(row.request.saved.top_k or vocabulary, vocabulary) for row in rows]
    scores, tokens = logits.topk(max(most))  # (B, K), the likeliest first
    scores.masked_fill_(torch.arange(max(most), device=logits.device) >= column(most), -torch.inf)
    shares = scores.softmax(-1)
    shares.masked_fill_(shares.cumsum(-1) - shares >= column(each.top_p for each in sampling), 0)
    sums = shares.double().cumsum(-1)
    chances = column(row.chance() for row in rows).double() * sums[:, -1:]
    return tokens.gather(1, (sums > chances).int().argmax(-1, keepdim=True))[:, 0]


@torch.inference_mode()
def can_mix(model: Any) -> bool:
    """Whether posts of different lengths get in one batch what they get alone: tried on two, for two tokens."""
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return False
    if not all(type(layer) is DynamicLayer for layer in _empty_cache(model).layers):
        return False  # of those that keep other things than keys and values
    last = model.config.get_text_config().vocab_size - 1
    prompts = [[last, last // 2, last // 3], [last // 3]]
    alone = [_two_tokens(model, [prompt]) for prompt in prompts]
    return torch.allclose(_two_tokens(model, prompts), torch.cat(alone), atol=1e-3)


def _two_tokens(model: Any, prompts: list[list[int]]) -> Tensor:
    """Log-probabilities (B, 2, V) of what comes after the prompts, and after one token more."""
    cache, (ids, mask) = _empty_cache(model), _padded(prompts, model.device)
    first = _read(model, ids, mask, cache)
    second = _read(model, ids[:, -1:], F.pad(mask, (0, 1), value=1), cache)
    return torch.stack([first, second], 1).log_softmax(-1)
