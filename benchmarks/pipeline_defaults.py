"""Shows what the installed transformers makes of a saved bot: start, sampling settings and texts for one seed.

    python benchmarks/pipeline_defaults.py bots/nasa/model

Needs transformers and torch only, so it can be run in an environment with any version of transformers from 4.46 on;
the lines it prints must be the same in all of them, but for min_length, which 5.x counts with the separator.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import transformers


def main(folder: str) -> None:
    torch.set_num_threads(1)
    generator = transformers.pipeline("text-generation", model=folder)
    seen: dict[str, Any] = {}
    model_class = type(generator.model)
    sample = model_class._sample

    def spy(self: Any, input_ids: Any, *arguments: Any, **options: Any) -> Any:
        seen.update(options, input_ids=input_ids)
        return sample(self, input_ids, *arguments, **options)

    model_class._sample = spy
    transformers.set_seed(0)
    outputs = generator("My dream is", num_return_sequences=3)
    used = seen["generation_config"]
    print("transformers", transformers.__version__)
    print("start       ", generator.tokenizer.convert_ids_to_tokens(seen["input_ids"][0].tolist()))
    print("settings    ", used.do_sample, used.min_length, used.max_length, used.temperature, used.top_p)
    for output in outputs:
        print("text        ", repr(output["generated_text"]))


if __name__ == "__main__":
    main(sys.argv[1])
