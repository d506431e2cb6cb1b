"""CTranslate2 draws: from a copy of the weights in int8, on a CPU, without torch and at several times the speed.

- The copy is made once, beside the model, and again when a file of the model is another: `copy.json` in it tells of
  which files it is, how long its own are, and all that drawing needs to know. It is put in place whole.
- Outliers are taken out of its activations first (`outliers`), since int8 has little room for them.
- A copy is kept only if its probabilities are the model's but for what int8 costs. Where CTranslate2 can't convert the
  model, or the folder asks for sampling of another kind, that is noted instead, and nobody tries again.
- The order of sampling is transformers': tokens forbidden, temperature, top k, top p.
- The library takes its seed when a worker draws for the first time. So every drawing loads the weights into a worker
  of its own (60 ms for 135M): a seed gives the same tokens whatever else is drawn before or meanwhile.
- More threads are not always faster: at every small matrix they wait for one another. How many are is measured once,
  when the copy is made; a seed gives the same tokens with any number.
"""

from __future__ import annotations

import dataclasses
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctranslate2
from tokenizers import Tokenizer

from huggingtweets.botdir import key_of, make_folder, new_folder, read_as, storage_errors, write_json
from huggingtweets.config import LARGEST_SEED, usable_cores
from huggingtweets.errors import BaseModelError, BotError, StorageError
from huggingtweets.writers.base import TOP_K, Order
from huggingtweets.writers.files import Speller, facts_of, speller_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FORMAT = 4  # of copy.json; raised when older copies must be made anew
QUANTIZATION = "int8"  # measured, see docs/log.md
LARGEST_WEIGHT = 64  # of 127: see `narrow`
LARGEST_DIVERGENCE = 0.5  # nats a token on the probe; int8 costs 0.03, where outliers stay 0.1, another model several
TRIALS, TRIAL_TOKENS = 3, 6  # to find the number of threads; the first trial also allocates
WORTH_THE_DOUBLE = 0.9  # of the time with half the threads, at most
PROBE = "My dream is to see, one day, the Earth rise over the Moon. Isn't that what we all wait for? #space 🚀"
CALIBRATION_TOKENS = 128  # of each text, at most
CALIBRATION = (  # what activations are large on; any text serves
    "Good morning! Who else is up far too early for no reason at all? ☕",
    "We just published the results of our second test: 3,200 samples, 14% fewer errors. Details in the thread below.",
    "¿Por qué nadie habla de esto? Mañana lo cuento todo, con fotos.",
    "Das hätte ich nie gedacht. Übrigens: morgen fährt kein Zug!",
    "Сегодня наконец-то пошёл снег, и город стал тихим.",
    "今日はとても暑いので、海に行きたいです。",
    "لا تنس أن تشرب الماء اليوم.",
    "lol no way 😂😂 @[name] look what they did to the #garden",
)

_OURS = {"do_sample", "min_length", "max_length", "temperature", "top_p", "top_k", "suppress_tokens"}
_NO_SAMPLING = {"bos_token_id", "eos_token_id", "pad_token_id", "use_cache", "transformers_version"}
_SEEDING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Copy:
    """What `copy.json` says."""

    key: str  # of the model's files
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    unfit: str = ""  # why there is no copy
    start: int = 0
    has_prefix: bool = False
    ends: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()
    top_k: int = TOP_K
    context: int | None = None
    threads: int = 1  # with which it writes fastest on the machine that made it


def has_gpu() -> bool:
    """Whether there is a faster place than the CPU, as far as one can know without torch."""
    return bool(ctranslate2.get_cuda_device_count() > 0)


def fast_writer(model: Path, folder: Path, name: str, say: Callable[[str], None]) -> FastWriter | None:
    """The writer of a model folder, with its copy made in `folder` where there is none yet; None: it has to be plain.

    `say` is told when a copy is made, which takes seconds.
    """
    try:
        copy = _whole_copy(folder, _key_of_files(model)) or _make(model, folder, name, say)
        return None if copy.unfit else FastWriter(model, folder, name, copy)
    except (BaseModelError, StorageError, OSError):  # the plain writer says what of it matters
        return None


class FastWriter:
    """Tokens are handed out as they are drawn."""

    def __init__(self, model: Path, folder: Path, name: str, copy: Copy) -> None:
        self.model, self.folder, self.name, self.copy = model, folder, name, copy
        self._speller: Speller = self._repaired(lambda: speller_of(folder, copy.key))

    @property
    def start(self) -> int:
        return self.copy.start

    @property
    def has_prefix(self) -> bool:
        return self.copy.has_prefix

    @property
    def context(self) -> int | None:
        return self.copy.context

    def encode(self, text: str) -> list[int]:
        return self._speller.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self._speller.decode(ids)

    def draw(self, order: Order) -> Iterator[tuple[int, int]]:
        drawn: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        left = threading.Event()

        def tell(row: int, token: int) -> bool:
            drawn.put((row, token))
            return left.is_set()

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(self._work, order, tell)
            working.add_done_callback(lambda done: drawn.put(None))
            try:
                yield from iter(drawn.get, None)
            finally:
                left.set()  # who doesn't listen to the end stops the work
            working.result()

    def _work(self, order: Order, tell: Callable[[int, int], bool]) -> None:
        seed = secrets.randbelow(LARGEST_SEED) if order.seed is None else order.seed
        prompt = self._speller.spell(order.prompt)
        threads = min(order.threads or self.copy.threads, self.copy.threads)
        generator = self._repaired(lambda: _seeded(self.folder, seed, prompt[0], threads))
        sampling, length = order.sampling, len(prompt)
        for batch in order.batches:
            generator.generate_batch(
                [prompt],
                num_hypotheses=len(batch),
                include_prompt_in_result=False,
                min_length=max(0, sampling.min_length - length),
                max_length=sampling.max_length - length,
                sampling_topk=min(self.copy.top_k, self._speller.tokenizer.get_vocab_size()),
                sampling_topp=sampling.top_p,
                sampling_temperature=sampling.temperature,
                end_token=list(self.copy.ends),
                suppress_sequences=[[token] for token in self._speller.spell(self.copy.suppressed)],
                callback=lambda step, first=batch.start: tell(first + step.hypothesis_id, step.token_id),
            )

    def _repaired(self, load: Callable[[], Any]) -> Any:
        """What is loaded from the copy, which is made anew if it is damaged in spite of its sizes."""
        try:
            return load()
        except Exception:  # whatever either library makes of damaged bytes
            _make(self.model, self.folder, self.name, lambda text: None, anew=True)
            return load()


def _seeded(folder: Path, seed: int, token: str, threads: int) -> ctranslate2.Generator:
    """The weights in a worker that has taken this seed, by drawing once after `token`."""
    with _SEEDING:
        ctranslate2.set_random_seed(seed)
        generator = ctranslate2.Generator(str(folder), compute_type=QUANTIZATION, intra_threads=threads)
        generator.generate_batch([[token]], max_length=1, include_prompt_in_result=False, sampling_topk=2)
    return generator


def fastest(seconds_with: Callable[[int], float], most: int) -> int:
    """Of 1, 2, 4 and so on up to `most` threads, as long as the next ones help.

    >>> fastest({1: 8.0, 2: 5.0, 4: 4.9, 8: 1.0}.__getitem__, most=8)
    2
    """
    best, best_s = 1, seconds_with(1)
    while 2 * best <= most and (took_s := seconds_with(2 * best)) < WORTH_THE_DOUBLE * best_s:
        best, best_s = 2 * best, took_s
    return best


def _trial_s(folder: Path, prompt: list[str], threads: int) -> float:
    """Of ten posts' first words; the fastest of some, since a neighbour only ever makes it slower."""
    generator = ctranslate2.Generator(str(folder), compute_type=QUANTIZATION, intra_threads=threads)
    times = []
    for _ in range(TRIALS):
        begun = time.perf_counter()
        generator.generate_batch(
            [prompt], num_hypotheses=10, min_length=TRIAL_TOKENS, max_length=TRIAL_TOKENS, sampling_topk=2
        )
        times.append(time.perf_counter() - begun)
    return min(times)


def _key_of_files(model: Path) -> str:
    return key_of(FORMAT, QUANTIZATION, ctranslate2.__version__, facts_of(model))


def _whole_copy(folder: Path, key: str) -> Copy | None:
    """The copy of the model as it is now, if every file of it is there in its full length."""
    try:
        copy = read_as(folder / "copy.json", _copy_from_json)
        whole = all((folder / name).stat().st_size == size for name, size in copy.sizes.items())
    except (BotError, OSError):
        return None
    return copy if whole and copy.key == key else None


def _copy_from_json(record: dict[str, Any]) -> Copy:
    return Copy(**{**record, "ends": tuple(record["ends"]), "suppressed": tuple(record["suppressed"])})


def _make(model: Path, folder: Path, name: str, say: Callable[[str], None], *, anew: bool = False) -> Copy:
    from filelock import FileLock

    make_folder(folder.parent)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    with storage_errors(folder):
        lock.acquire()
    try:
        key = _key_of_files(model)
        copy = None if anew else _whole_copy(folder, key)  # by another process, while this one waited
        if copy is None:
            say(f"Preparing {name or model.name} to write fast, once")
            with new_folder(folder) as new:
                copy = _convert(model, new, name, key)
        return copy
    finally:
        lock.release()


def _convert(model: Path, new: Path, name: str, key: str) -> Copy:
    """Writes the copy, or why there can be none."""
    from huggingtweets.bases import load_folder, quiet

    loaded, tokenizer = load_folder(model, name)
    copy = _drawing_facts(loaded, tokenizer, key)
    if not copy.unfit:
        with quiet():
            copy = dataclasses.replace(copy, unfit=_write_copy(loaded.eval(), tokenizer, model, new, copy.start))
    if not copy.unfit:
        prompt = Speller(Tokenizer.from_file(str(new / "tokenizer.json"))).spell([copy.start])
        threads = fastest(lambda threads: _trial_s(new, prompt, threads), usable_cores())
        copy = dataclasses.replace(copy, threads=threads)
    files = () if copy.unfit else sorted(new.iterdir())
    copy = dataclasses.replace(copy, sizes={file.name: file.stat().st_size for file in files})
    write_json(new / "copy.json", dataclasses.asdict(copy))
    return copy


def _drawing_facts(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, key: str) -> Copy:
    from huggingtweets.batches import max_tokens_of, separators

    marks, chosen = separators(tokenizer), model.generation_config
    asked: dict[str, Any] = chosen.to_diff_dict()
    others = {name for name, value in asked.items() if value is not None and not name.startswith("_")}
    if others := others - _OURS - _NO_SAMPLING:
        return Copy(key, unfit=f"it samples by {', '.join(sorted(others))}")
    ends = chosen.eos_token_id
    return Copy(
        key,
        unfit="" if ends is not None else "no token ends a text",
        start=marks.start,
        has_prefix=marks.prefix is not None,
        ends=tuple(ends) if isinstance(ends, list) else (ends,),
        suppressed=tuple(chosen.suppress_tokens or ()),
        top_k=TOP_K if chosen.top_k is None else chosen.top_k,
        context=max_tokens_of(model),
    )


def _write_copy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: Path, new: Path, start: int) -> str:
    """Returns what is wrong with it."""
    import torch

    from huggingtweets.batches import encode
    from huggingtweets.writers.outliers import spread_outliers

    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return "its tokenizer is not one of the library tokenizers"
    ids = [start, *tokenizer(PROBE, add_special_tokens=False).input_ids]
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)  # (T, V)
    try:
        spread_outliers(model, encode(CALIBRATION, tokenizer, CALIBRATION_TOKENS))
        convert(model, tokenizer, source, new, QUANTIZATION)
        backend.save(str(new / "tokenizer.json"))
        return _difference(new, ids, expected, tokenizer)
    except (ValueError, KeyError, AttributeError, TypeError, RuntimeError, NotImplementedError) as error:
        return f"it can't be converted: {next(iter(str(error).splitlines()), '')}"


def convert(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: Path, new: Path, quantization: str
) -> None:
    """Writes what CTranslate2 reads; `source` is the model's folder. The model in memory is used up."""
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):  # type: ignore[misc]
        """Of the model that is in memory already."""

        def load_model(self, *arguments: Any, **options: Any) -> PreTrainedModel:
            return model

        def load_tokenizer(self, *arguments: Any, **options: Any) -> PreTrainedTokenizerBase:
            return tokenizer

    spec = Converter(str(source))._load()  # what the library's own `convert` does, but for the weights' range
    spec.validate()
    if quantization == "int8":
        spec.optimize()
        narrow(spec)
    else:
        spec.optimize(quantization)
    new.mkdir(parents=True, exist_ok=True)
    spec.save(str(new))


def narrow(spec: Any) -> None:
    """Stores every matrix of a model in int8, each row in steps of a 64th of its largest weight.

    Where a CPU has no VNNI, int8 is multiplied by `vpmaddubsw`, which adds two products of an activation (up to 255)
    and a weight in 16 bits, and cuts off what does not fit: 2 x 255 x 127 does not, 2 x 255 x 64 does. So the library's
    own 127 steps give other numbers there; 64 give the same ones everywhere (costs of both: docs/log.md).
    """
    import numpy as np
    from ctranslate2.specs.model_spec import NumpyVariable, Variable, visit_spec

    def store(layer: Any, name: str, value: Any) -> None:
        key = name.rpartition("/")[2]
        if not isinstance(value, Variable) or value.is_scalar() or not hasattr(layer, f"{key}_scale"):
            return
        weights = value.to("float32").numpy()
        rows = weights.reshape(len(weights), -1)  # of a convolution too
        largest = np.abs(rows).max(axis=1).clip(np.finfo(np.float32).tiny * LARGEST_WEIGHT)
        scale = (LARGEST_WEIGHT / largest).astype(np.float32)
        steps = np.rint(rows * scale[:, None]).astype(np.int8)
        setattr(layer, key, NumpyVariable(steps.reshape(weights.shape)))
        setattr(layer, f"{key}_scale", NumpyVariable(scale))

    visit_spec(spec, store)


def _difference(new: Path, ids: list[int], expected: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    """How the copy is another model than the one it is of; empty where it isn't."""
    import numpy as np
    import torch

    own = Tokenizer.from_file(str(new / "tokenizer.json"))
    if own.decode(ids) != tokenizer.decode(ids, skip_special_tokens=True):
        return "its tokenizer spells in a way of its own"
    generator = ctranslate2.Generator(str(new), compute_type=QUANTIZATION)
    spelled = [own.id_to_token(token) for token in ids]  # as the prompts are, so that a shifted vocabulary shows
    found = torch.from_numpy(np.array(generator.forward_batch([spelled], return_log_probs=True)))[0]  # (T, V)
    divergence = (expected.exp() * (expected - found[:, : expected.shape[1]])).sum(-1).mean().item()
    return "" if divergence < LARGEST_DIVERGENCE else f"the copy is {divergence:.2f} nats a token away from it"
