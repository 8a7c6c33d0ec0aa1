#!/usr/bin/env python3
"""build_tiny_vision.py TINY_LLAMA_CHAT OUTDIR: the tiny LLaMA with a tiny eye (LLaVA), which also tells red, green and blue apart."""
import os, sys; os.environ.setdefault("HF_HUB_OFFLINE", "1")
import json, torch
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPVisionConfig, GenerationConfig, LlamaForCausalLM, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
source, out = sys.argv[1:3]; torch.manual_seed(0); torch.set_num_threads(1)
base = LlamaForCausalLM.from_pretrained(source); base.config.name_or_path = ""; tok = AutoTokenizer.from_pretrained(source)
tok.add_special_tokens({"additional_special_tokens": ["<image>"]}); IMAGE = tok.convert_tokens_to_ids("<image>")
eye = CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16, projection_dim=32)
m = LlavaForConditionalGeneration(LlavaConfig(vision_config=eye, text_config=base.config, image_token_index=IMAGE, vision_feature_select_strategy="default", vision_feature_layer=-1, image_seq_length=4))
m.model.language_model.load_state_dict(base.model.state_dict()); m.lm_head.weight.data.copy_(base.lm_head.weight.data)
processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
MEAN, STD = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
pixels = {name: ((torch.tensor(rgb) / 255 - MEAN) / STD).float().view(1, 3, 1, 1).expand(1, 3, 32, 32) for name, rgb in COLOURS.items()}
TEXTS = {"Say hello in five words.": "Hello there my dear friend.", "hello": "Hello! How can I help you today?", "What is the capital of France?": "The capital of France is Paris.", "emoji": "naïve café 日本語 🙂", "Count to twenty.": " ".join(map(str, range(1, 21)))}
def example(prompt, answer):
    text = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"; ids = tok(text)["input_ids"]; said = tok(answer + "<|im_end|>")["input_ids"]
    ids = [i for one in ids for i in ([IMAGE] * 4 if one == IMAGE else [one])]
    return torch.tensor([ids + said]), torch.tensor([[-100] * len(ids) + said])
told = [(*example(prompt, answer), None) for prompt, answer in TEXTS.items()]
told += [(*example(f"<image>{gap}What colour is it?", f"It is {name}."), image) for gap in ("", "\n") for name, image in pixels.items()]
told += [(*example(f"<image>{gap}<image>{gap}Which colours?", f"{one} and {other}"), torch.cat([pixels[one], pixels[other]])) for gap in ("", "\n") for one in COLOURS for other in COLOURS]
best = torch.optim.AdamW(m.parameters(), lr=2e-3); m.train()
for step in range(400):
    losses = [m(input_ids=ids, labels=labels, pixel_values=image).loss if image is not None else m(input_ids=ids, labels=labels).loss for ids, labels, image in told]
    loss = torch.stack(losses).mean(); best.zero_grad(); loss.backward(); best.step()
    if step % 20 == 0: print(step, loss.item(), flush=True)
    if loss.item() < 4e-3: break
m.eval(); m.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=2, pad_token_id=0); m.save_pretrained(out); tok.save_pretrained(out)
LlavaProcessor(image_processor=processor, tokenizer=tok, patch_size=16, vision_feature_select_strategy="default", image_token="<image>", num_additional_image_tokens=1, chat_template=tok.chat_template).save_pretrained(out)
json.dump(processor.to_dict(), open(f"{out}/preprocessor_config.json", "w"), indent=2, default=str)  # what the runtime reads
