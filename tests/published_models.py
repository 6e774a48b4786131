"""Small random models in the forms in which models are published, with the demo model's tokenizer."""

import json
from pathlib import Path

import numpy as np

from pairdex.encoders.model import load_model

TOKENIZER = load_model("demo").tokenizer_file
TOKENS = len(json.loads(TOKENIZER.read_text())["model"]["vocab"])
SOT, EOT = TOKENS - 2, TOKENS - 1
CONTEXT = 20
DIM = 16
TEXTS = [
    "a red car",
    "two green trees and a small blue house left of a boat " * 3,
    "",
    "Caf&eacute; au lait!",
]


def randomise(model, seed=0):
    """Give every parameter a random value, including those that start as zeros or ones."""
    import torch

    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (parameter == 1).float())
    return model.eval()


def hugging_face_clip(folder, *, activation="quick_gelu", eos=EOT, seed=0):
    """Save a CLIP model with the Hugging Face library, and return it."""
    from transformers import CLIPConfig, CLIPModel

    text = {
        "vocab_size": TOKENS, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": CONTEXT, "hidden_act": activation,
        "eos_token_id": eos, "bos_token_id": SOT, "pad_token_id": EOT,
    }  # fmt: skip
    vision = {
        "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2,
        "image_size": 40, "patch_size": 8, "hidden_act": activation,
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIM)
    model = randomise(CLIPModel(config), seed)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(TOKENIZER.read_bytes())
    return model


def hugging_face_siglip(folder):
    """Save a SigLIP model with a small Unigram tokenizer with the Hugging Face library, and return it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import SiglipConfig, SiglipModel

    letters = [(chr(c), -5.0) for c in range(ord("a"), ord("z") + 1)]
    pieces = [
        ("<unk>", 0.0),
        ("</s>", 0.0),
        ("\u2581", -2.0),
        ("\u2581a", -2.0),
        ("car", -3.0),
        *letters,
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    text = {
        "vocab_size": len(pieces), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": CONTEXT, "projection_size": 24,
        "bos_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    vision = {
        "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2,
        "image_size": 40, "patch_size": 8,
    }  # fmt: skip
    model = randomise(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "SiglipTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    pictures = {
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3, "do_center_crop": None,
        "size": {"height": 40, "width": 40},
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return model


def hugging_face_siglip_2(folder):
    """Save a SigLIP with Gemma's kind of tokenizer, as SigLIP 2 has it; return it and its tokenizer."""
    from transformers import Siglip2Tokenizer, SiglipConfig, SiglipModel

    marks = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = [*"abcdefghijklmnopqrstuvwxyz&;!\u2581", "ca", "car"]
    pieces = [*marks, *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    tokenizer = Siglip2Tokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)},
        merges=[("c", "a"), ("ca", "r")],
        padding_side="right",
    )
    text = {
        "vocab_size": len(pieces), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": CONTEXT, "projection_size": 24,
    }  # fmt: skip
    vision = {
        "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2,
        "image_size": 40, "patch_size": 8,
    }  # fmt: skip
    model = randomise(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pictures = {
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2,
        "size": {"height": 40, "width": 40},
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return model, tokenizer


def as_openai(model):
    """The tensors of a Hugging Face CLIP model by OpenAI's names."""
    import torch

    old, new = model.state_dict(), {}
    for side, prefix in (("text_model", ""), ("vision_model", "visual.")):
        layers = sorted({n.split(".")[3] for n in old if n.startswith(f"{side}.encoder.layers.")})
        for i in layers:
            a, b = f"{side}.encoder.layers.{i}.", f"{prefix}transformer.resblocks.{i}."
            for kind in ("weight", "bias"):
                qkv = [old[f"{a}self_attn.{one}_proj.{kind}"] for one in "qkv"]
                new[f"{b}attn.in_proj_{kind}"] = torch.cat(qkv)
                for here, there in (
                    ("self_attn.out_proj", "attn.out_proj"), ("layer_norm1", "ln_1"),
                    ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
                ):  # fmt: skip
                    new[f"{b}{there}.{kind}"] = old[f"{a}{here}.{kind}"]
    for kind in ("weight", "bias"):
        new[f"ln_final.{kind}"] = old[f"text_model.final_layer_norm.{kind}"]
        new[f"visual.ln_pre.{kind}"] = old[f"vision_model.pre_layrnorm.{kind}"]
        new[f"visual.ln_post.{kind}"] = old[f"vision_model.post_layernorm.{kind}"]
    new["token_embedding.weight"] = old["text_model.embeddings.token_embedding.weight"]
    new["positional_embedding"] = old["text_model.embeddings.position_embedding.weight"]
    new["text_projection"] = old["text_projection.weight"].T
    new["visual.conv1.weight"] = old["vision_model.embeddings.patch_embedding.weight"]
    new["visual.class_embedding"] = old["vision_model.embeddings.class_embedding"]
    new["visual.positional_embedding"] = old["vision_model.embeddings.position_embedding.weight"]
    new["visual.proj"] = old["visual_projection.weight"].T
    new["logit_scale"] = old["logit_scale"]
    return {name: tensor.contiguous() for name, tensor in new.items()}


def open_clip_folder(folder, model, *, quick_gelu):
    """Save the same model in open_clip's form."""
    import torch

    folder.mkdir(parents=True)
    torch.save(as_openai(model), folder / "open_clip_pytorch_model.bin")
    config = {
        "model_cfg": {
            "embed_dim": DIM, "quick_gelu": quick_gelu,
            "vision_cfg": {"image_size": 40, "layers": 3, "width": 24, "patch_size": 8, "head_width": 12},
            "text_cfg": {"context_length": CONTEXT, "vocab_size": TOKENS, "width": 32, "heads": 4, "layers": 2},
        },
        "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]},
    }  # fmt: skip
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes(TOKENIZER.read_bytes())
    return folder


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def library_vectors(model, encoder, *, fixed=False):
    """The library's own vectors of TEXTS and of random pixels: texts, pixels, pictures."""
    import torch

    ids = encoder._tokenizer.ids(TEXTS)
    length = CONTEXT if fixed else max(map(len, ids))
    pad = encoder.model.text.pad_id
    batch = torch.tensor([row + [pad] * (length - len(row)) for row in ids])
    size = encoder.model.image.size
    pixels = np.random.default_rng(1).normal(0, 1, (5, 3, size, size)).astype(np.float32)
    with torch.no_grad():
        texts = model.get_text_features(input_ids=batch)
        images = model.get_image_features(pixel_values=torch.from_numpy(pixels))
    plain = [getattr(one, "pooler_output", one).numpy() for one in (texts, images)]
    return unit(plain[0]), pixels, unit(plain[1])


def copy_of(folder, target):
    """A copy of a folder that a test may damage."""
    import shutil

    return Path(shutil.copytree(folder, target))
