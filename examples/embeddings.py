"""Search by meaning: which of some sentences is nearest to a question?

python examples/embeddings.py openai text-embedding-3-small "Who makes music?"
python examples/embeddings.py huggingface sentence-transformers/all-MiniLM-L6-v2 "Who makes music?"
"""

from __future__ import annotations

import sys

from abstractcore import create_llm

SENTENCES = [
    "A man is eating food.",
    "The girl plays the violin.",
    "Share prices fell sharply.",
    "It will rain in the afternoon.",
]


def main(provider: str, model: str, question: str) -> None:
    with create_llm(provider, model) as llm:
        response = llm.embed([*SENTENCES, question])
    vectors = response.numpy()
    vectors /= (vectors**2).sum(axis=1, keepdims=True) ** 0.5  # most models give vectors of length 1 anyway
    nearness = vectors[:-1] @ vectors[-1]
    for place in nearness.argsort()[::-1]:
        print(f"{nearness[place]:.2f}  {SENTENCES[place]}")
    print(f"{response.dimensions} numbers each, {response.usage.input_tokens} tokens")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
