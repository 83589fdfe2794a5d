"""Triplets and their loss by loops over all triplets: slow, and obviously right."""

import itertools

import torch
from torch import Tensor

Triplet = tuple[int, int, int]


def positives_of(anchor: int, labels: list[int]) -> list[int]:
    return [p for p in range(len(labels)) if p != anchor and labels[p] == labels[anchor]]


def negatives_of(anchor: int, labels: list[int]) -> list[int]:
    return [n for n in range(len(labels)) if labels[n] != labels[anchor]]


def all_triplets(labels: list[int]) -> list[Triplet]:
    everyone = range(len(labels))
    return [
        (a, p, n)
        for a, p, n in itertools.product(everyone, repeat=3)
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ]


def semi_hard_negative(distances: Tensor, labels: list[int], anchor: int, positive: int) -> int:
    """The nearest negative beyond the positive, or else the farthest."""
    row = distances[anchor].tolist()
    negatives = negatives_of(anchor, labels)
    beyond = [n for n in negatives if row[n] > row[positive]]
    return min(beyond, key=row.__getitem__) if beyond else max(negatives, key=row.__getitem__)


def semi_hard(distances: Tensor, labels: list[int]) -> list[Triplet]:
    pairs = sorted({(a, p) for a, p, _ in all_triplets(labels)})
    return [(a, p, semi_hard_negative(distances, labels, a, p)) for a, p in pairs]


def easy_positive(distances: Tensor, labels: list[int]) -> list[Triplet]:
    triplets = []
    for a in sorted({a for a, _, _ in all_triplets(labels)}):
        p = min(positives_of(a, labels), key=distances[a].tolist().__getitem__)
        triplets.append((a, p, semi_hard_negative(distances, labels, a, p)))
    return triplets


def batch_hard(
    distances: Tensor,
    labels: list[int],
    positives: tuple[int, int] = (1, 1),
    negatives: tuple[int, int] = (1, 1),
) -> list[Triplet]:
    triplets = []
    for a in range(len(labels)):
        row = distances[a].tolist()
        hard_positives = sorted(positives_of(a, labels), key=row.__getitem__, reverse=True)
        hard_negatives = sorted(negatives_of(a, labels), key=row.__getitem__)
        for p in hard_positives[positives[0] - 1 : positives[1]]:
            for n in hard_negatives[negatives[0] - 1 : negatives[1]]:
                triplets.append((a, p, n))
    return triplets


def squared_distances(x: Tensor) -> Tensor:
    return ((x[:, None] - x[None]) ** 2).sum(-1)


def triplet_losses(embeddings: Tensor, triplets: list[Triplet], margin: float, contrastive: bool) -> list[Tensor]:
    """The loss of each triplet, with its gradient."""
    losses = []
    for a, p, n in triplets:
        d_positive = ((embeddings[a] - embeddings[p]) ** 2).sum()
        d_negative = ((embeddings[a] - embeddings[n]) ** 2).sum()
        if contrastive and d_negative < d_positive:
            d_positive = d_positive.detach()
        losses.append(torch.relu(d_positive - d_negative + margin))
    return losses
