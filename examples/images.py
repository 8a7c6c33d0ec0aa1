"""Ask about a picture: a path or an https URL.

python examples/images.py openai gpt-5-mini photo.png
"""

from __future__ import annotations

import sys

from abstractcore import ConfigurationError, create_llm


def main(provider: str, model: str, picture: str) -> None:
    with create_llm(provider, model) as llm:
        try:
            response = llm.generate("Describe this picture in one sentence.", media=picture)
        except ConfigurationError as error:  # no such file, or no image; nothing was sent
            raise SystemExit(str(error)) from error
    print(response.content)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
