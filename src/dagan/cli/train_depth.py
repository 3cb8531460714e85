"""`dagan train-depth`: stage 1, face depth from neighbouring frames of clips (Sec. 3.2)."""

import argparse

from dagan.cli.train import add_common_arguments, check_numbers, open_all, preset_config, run_config, start_torch
from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    parser.add_argument("--steps", type=int, help="optimiser steps (default: the recipe's)")
    parser.add_argument("--batch-size", type=int, help="clips a step (default: the recipe's)")


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    import torch

    from dagan.training.depth_stage import DepthNetworks
    from dagan.training.loop import LoopConfig, prepare_folder, train
    from dagan.training.recipes import DEPTH_RECIPE, LITE_DEPTH_STAGE, LITE_POSE
    from dagan.training.stages import DepthStage

    check_numbers(args)
    config = preset_config(args).depth
    if config is None:
        raise UserError(f"preset {args.preset} has no depth network; choose one that has, such as lite or dagan")
    changes = {"steps": args.steps, "batch_size": args.batch_size}
    phase = replace(DEPTH_RECIPE, **{name: value for name, value in changes.items() if value is not None})
    torch.manual_seed(args.seed)
    networks = DepthNetworks(config.build(), LITE_POSE.build())
    prepare_folder(args.run)
    clips = open_all(args)
    stage = DepthStage(
        networks=networks,
        config=config,
        settings=LITE_DEPTH_STAGE,
        phases=(phase,),
        clips=clips,
        device=start_torch(args),
        seed=args.seed,
    )
    print(f"{len(clips)} clips to train on; {phase.steps} steps")
    plain = run_config(args, model=config, pose=LITE_POSE, stage=LITE_DEPTH_STAGE, phases=(phase,))
    loop = LoopConfig(seed=args.seed, workers=args.workers)
    print(f"wrote {train(stage, loop, plain, args.run)}")
    return 0
