"""Packs a trained model for the package: float16, with its origin and how near int8 and bfloat16 are to float32.

python scripts/pack_weights.py RUN/model.safetensors src/dagan/assets/dagan-lite.safetensors
"""

import argparse
import hashlib
from pathlib import Path

from dagan.models.weights import load, load_config, save_model, store_agreement
from dagan.runtime.agreement import measure_agreement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    digest = hashlib.sha256(args.model.read_bytes()).hexdigest()
    terms = "research use only: trained on third-party clips, see docs/model_card.md"
    save_model(args.output, load(args.model), load_config(args.model), half=True, source_sha256=digest, terms=terms)
    store_agreement(args.output, measure_agreement(load(args.output)))
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB from {args.model}")


if __name__ == "__main__":
    main()
