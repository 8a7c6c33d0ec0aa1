"""Send prompts as one batch; run it again, the same day or the next, and it reads the answers.

python examples/batch_job.py openai:gpt-5-mini 100 job.txt
"""

from __future__ import annotations

import sys
from pathlib import Path

from abstractcore import create_llm


def main(model: str, count: int, path: Path) -> None:
    prompts = [f"Tell me one fact about the number {number}." for number in range(count)]
    with create_llm(model, max_output_tokens=60) as llm:
        if not path.exists():
            job = llm.batch(prompts)
            path.write_text(job.id)
            print(f"sent: {job.id} is {job.status}. Run this again to read the answers.")
            return
        job = llm.batch_job(path.read_text(), prompts)
        if not job.is_over:
            print(
                f"{job.id} is {job.status}: {job.counts.succeeded} of {job.counts.total}. Come again later."
            )
            return
        failures = [result for result in job.results() if result.error is not None]
        for result in failures:
            print(f"{result.prompt}: {type(result.error).__name__}: {result.error}")
        print(f"{count - len(failures)} answers, {len(failures)} failures")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
