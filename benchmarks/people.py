"""How many people say what the models say, by probability: `_TAGGERS` of fer_space/render/texts.py.

    fer-space test --backbone all --data ferplus:DIR --split valid --out OUT
    python benchmarks/people.py OUT ferplus:DIR [--split valid] [--boost-rare]

OUT holds the outputs of every member of the fitted ensemble. The share is of all ten taggers, those included
who saw no emotion or no face.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from fer_space.card import WEIGHTS_DIR, read_card, read_fits
from fer_space.data.taggers import open_tagged
from fer_space.distributions import mean_of, top
from fer_space.evaluation.outputs import Outputs

EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0)


def main() -> None:
    """Print the mean share of the taggers who say the answer, for faces of like probability."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outputs", type=Path)
    parser.add_argument("data")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--boost-rare", action="store_true")
    args = parser.parse_args()
    shares = read_fits(WEIGHTS_DIR)[0].shares
    read = [Outputs.load(args.outputs / f"{name}-ferplus-{args.split}.parquet") for name in shares]
    answers = [member.probabilities for member in read]
    if args.boost_rare:
        cards = [read_card(WEIGHTS_DIR / f"{name}.json") for name in shares]
        answers = [card.boosted(answer) for card, answer in zip(cards, answers, strict=True)]
    mean = mean_of(np.stack(answers), tuple(shares.values()))
    tagged = open_tagged(args.data, args.split)
    votes_of = dict(zip(tagged.files, tagged.votes, strict=True))
    votes = np.array([votes_of[file] for file in read[0].files])
    sure, named = mean.max(axis=1), top(mean)
    agreeing = votes[np.arange(len(votes)), named] / votes.sum(axis=1)
    print("probability  faces  mean  taggers who say the answer  right")
    for low, high in pairwise(EDGES):
        rows = (sure > low) & (sure <= high)
        means = [values[rows].mean() for values in (sure, agreeing, read[0].labels == named)]
        print(f"{low:.2f} to {high:.2f} {rows.sum():6d}  {means[0]:.2f}  {means[1]:.2f}  {means[2]:.2f}")
    print(f"5th percentile {np.quantile(sure, 0.05):.3f}")


if __name__ == "__main__":
    main()
