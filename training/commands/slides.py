"""The commands of python -m training that work on slides: fetch them, prepare them, mine what a network gets wrong."""

import time
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from nodescan.domain.naming import few, how_many
from nodescan.errors import ConfigError
from training.options import Manifest, Slides


def download_command(
    manifest: Manifest,
    to: Annotated[Path, typer.Option(help="Folder for the slides, with the same subfolders as the bucket.")],
    slides: Slides = "*",
    parallel: Annotated[int, typer.Option(min=1, max=32, help="How many files to fetch at a time.")] = 4,
    endpoint: Annotated[
        str | None,
        typer.Option(help="An S3 service that holds a copy of the bucket.", show_default="the public service"),
    ] = None,
) -> None:
    """Fetch slides and outlines from the public bucket. Run the command again to resume after an interruption."""
    from training.camelyon.bucket import CAMELYON_BUCKET, CAMELYON_ENDPOINT, Bucket
    from training.camelyon.download import download
    from training.camelyon.manifest import chosen, read_data_manifest

    rows = chosen(read_data_manifest(manifest), slides)
    bucket = Bucket(CAMELYON_BUCKET, endpoint or CAMELYON_ENDPOINT)
    fetched = download(rows, to, bucket=bucket, tell=typer.echo, parallel=parallel)
    total = sum(item.size for item in fetched)
    unverified = sum(item.verified.startswith("not") for item in fetched)
    typer.echo(
        f"{len(fetched)} files, {total / 1e9:.2f} GB in {to}; {unverified} of them could only be checked by size"
    )


def prepare_command(
    manifest: Manifest,
    data: Annotated[Path, typer.Option(help="Folder that holds the slides and outlines of the manifest.")],
    to: Annotated[Path, typer.Option(help="Folder for the sampling index.")],
    slides: Slides = "*",
) -> None:
    """Find tissue, draw the outlines as masks, and index the places that patches can be sampled from."""
    from training.camelyon.manifest import SPLITS, chosen, read_data_manifest
    from training.slides.index import read_index
    from training.slides.prepare import prepare
    from training.slides.remarks import remarks

    rows = read_data_manifest(manifest)
    excluded = [row for row in rows if row.excluded]
    wanted = chosen(rows, slides)
    prepare([*wanted, *excluded], data, to, tell=typer.echo)
    nameless = sum(not row.patient_id for row in wanted)
    if nameless:
        typer.echo(
            f"patient_id is empty for {nameless} of {how_many(len(wanted), 'slide')}: whether a patient is in two "
            "splits isn't checked; fill it in if patients are known"
        )
    entries = read_index(to)
    others = [entry.slide_id for entry in entries if entry.slide_id not in {row.slide_id for row in rows}]
    if others:  # of another manifest, or taken out of this one
        typer.echo(
            f"{few(others, 3)}: not in {manifest.name}, but still in the index, and trained on; to be rid of such a "
            "slide, list it there as excluded, or prepare into a new folder"
        )
    for line in remarks(entries, to):
        typer.echo(line)
    parts = {split: sum(entry.split == split for entry in entries) for split in SPLITS}
    counts = ", ".join(f"{count} {split}" for split, count in parts.items())
    typer.echo(f"{to}: {len(entries)} slides ({counts}); fit with --data.init_args.index {quote(str(to))}")


def sample_command(
    config: Annotated[Path, typer.Option(help="A training configuration whose data is SlideData.")],
    seconds: Annotated[float, typer.Option(min=1, help="How many seconds to draw for.")] = 10.0,
) -> None:
    """Draw patches from the training slides for a while and print how many come per second."""
    import numpy as np

    from training.slides.batches import PATCH_PX
    from training.slides.remarks import drawn_from
    from training.slides.sampler import SamplePlan, SlideSampler

    data = _data_section(config)
    try:
        plan = SamplePlan(**(data.get("sample") or {}))
    except TypeError as error:
        raise ConfigError(
            f"{config}: data.init_args.sample: {str(error).removeprefix('SamplePlan.__init__() ')}"
        ) from error
    sampler = SlideSampler(Path(data["index"]), "train", plan)
    typer.echo(drawn_from(sampler))
    rng, count, started = np.random.default_rng(0), 0, time.monotonic()
    while time.monotonic() - started < seconds:
        sampler.drawn_patch(rng, PATCH_PX)
        count += 1
    rate = count / (time.monotonic() - started)
    typer.echo(f"{rate:.0f} patches/s from {len(sampler.rows)} slides, in one process")


def mine_command(
    config: Annotated[Path, typer.Option(help="The training configuration of the checkpoint.")],
    ckpt: Annotated[Path, typer.Option(help="Checkpoint whose false positives are collected.")],
    to: Annotated[
        Path | None,
        typer.Option(
            help="The CSV to write.",
            show_default="what hard_negatives of the configuration names, or hard.csv in the folder of its index",
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Lowest probability that counts as tumour.")
    ] = 0.5,
    device: Annotated[str, typer.Option(help="Where the network runs: auto, cpu or cuda[:N].")] = "auto",
) -> None:
    """Write hard negatives: places on tumour-free training slides where a checkpoint sees tumour.

    fit uses them only if its hard_negatives names the file.
    """
    from nodescan.csv_rows import csv_line
    from nodescan.overwrite_checks import check_inputs, check_ours
    from training.fitting.mining import MiningSettings, mine, open_checkpoint, write_hard_negatives
    from training.slides.index import hard_file
    from training.slides.sampler import HARD_COLUMNS

    data = _data_section(config)
    place = to or (Path(data["hard_negatives"]) if data.get("hard_negatives") else hard_file(Path(data["index"])))
    check_inputs([("--config", config), ("--ckpt", ckpt)], [place])
    check_ours(place, csv_line(HARD_COLUMNS).rstrip())
    predictor = open_checkpoint(ckpt, config, device=device)
    settings = MiningSettings(threshold=threshold, apart_px=64, most_per_slide=500)
    found = mine(predictor, Path(data["index"]), settings=settings, tell=typer.echo)
    write_hard_negatives(found, place)
    then = (
        f"fit again with --data.init_args.hard_negatives {quote(str(place))}" if found else "nothing to fit again with"
    )
    typer.echo(f"{place}: {len(found)} hard negatives; {then}")


def _data_section(config: Path) -> dict[str, Any]:
    """What the configuration hands to SlideData. Raises ConfigError."""
    from training.configurations import read_yaml

    content = read_yaml(config)
    try:
        section = content["data"]["init_args"]
        if not isinstance(section["index"], str) or not section["index"]:
            raise TypeError("index is no path")
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{config}: data.init_args.index is missing; see configs/train/camelyon16.yaml") from error
    return section
