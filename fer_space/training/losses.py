"""Losses: one interface for all, logits (B, K), target distributions (B, K) and class counts (K,).

Every loss is a table of terms (B, K), one a picture and emotion, which emotion weights may scale before it is
summed over the emotions and averaged over the pictures. Rows of targets need not sum to 1 (SnapMix); a
row of zeros is a picture of which nobody named an emotion, and does not count.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.emotions import EMOTIONS
from fer_space.training.config import TrainConfig, parse_numbers

EFFECTIVE_BETA = 0.9999
WEIGHT_LIMIT = 10.0


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the cross entropy with target distributions, term by term.

    Args:
        logits: float (B, K).
        targets: float (B, K), a distribution a picture; rows need not sum to 1.

    Returns:
        float (B, K), one term a picture and emotion.

    Example:
        >>> float(cross_entropy(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).sum())
        0.6931471824645996
    """
    return -targets * functional.log_softmax(logits, dim=1)


def kl_divergence(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute KL(target || prediction), term by term: same gradient as cross entropy, least value 0."""
    return torch.xlogy(targets, targets) + cross_entropy(logits, targets)


def focal(logits: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    """Compute the focal loss, term by term: cross entropy times (1 - p)^gamma.

    What is already known counts less (Lin et al. 2017, arXiv 1708.02002).
    """
    log_probabilities = functional.log_softmax(logits, dim=1)
    return -targets * (1.0 - log_probabilities.exp()) ** gamma * log_probabilities


def margins(counts: Tensor, largest: float) -> Tensor:
    """Compute LDAM's margins float (K,), the largest for the rarest emotion.

    They are proportional to counts^(-1/4): Cao et al. 2019, arXiv 1906.07413, equation 13. An emotion without
    a face has no margin.
    """
    raw = torch.where(counts > 0, counts.clamp(min=1.0) ** -0.25, 0.0)
    return raw * (largest / raw.max().clamp(min=1e-12))


def any_accepted(logits: Tensor, targets: Tensor) -> Tensor:
    """Take any accepted emotion as a right answer, term by term.

    The multi-label loss of Barsoum et al. 2016, equation 3: minus the log of the largest probability among
    the emotions whose target is positive.
    """
    log_probabilities = functional.log_softmax(logits, dim=1)
    best = log_probabilities.masked_fill(targets <= 0, -torch.inf).argmax(dim=1)
    return -functional.one_hot(best, logits.shape[1]) * log_probabilities


def inverse_weights(counts: Tensor) -> Tensor:
    """Weigh emotions by 1 / count, float (K,); the mean over the training faces is 1."""
    return _normalised(1.0 / counts.clamp(min=1.0), counts)


def effective_weights(counts: Tensor, beta: float = EFFECTIVE_BETA) -> Tensor:
    """Weigh emotions by the effective number of their samples, float (K,).

    (1 - beta) / (1 - beta^count), Cui et al. 2019, arXiv 1901.05555. The mean over the training faces is 1.
    """
    return _normalised((1.0 - beta) / (1.0 - beta ** counts.clamp(min=1.0)), counts)


def _normalised(weights: Tensor, counts: Tensor) -> Tensor:
    """Weights whose mean over the training faces is 1; 0 for an emotion without a face."""
    weights = torch.where(counts > 0, weights, 0.0)
    return weights * counts.sum() / (weights * counts).sum().clamp(min=1e-12)


def concordance(predicted: Tensor, labels: Tensor, counted: Tensor | None = None) -> Tensor:
    """Compute Lin's concordance correlation of each column of two tables.

    Args:
        predicted: float (N, C), N > 1.
        labels: float (N, C).
        counted: float (N, 1), 1 for the rows that count and 0 for the others; None counts all.

    Returns:
        float (C,) in [-1, 1].
    """
    share = torch.ones_like(labels[:, :1]) if counted is None else counted
    share = share / share.sum().clamp(min=1.0)

    def mean(values: Tensor) -> Tensor:
        return (values * share).sum(dim=0)

    centred, truth = predicted - mean(predicted), labels - mean(labels)
    spread = mean(centred.square()) + mean(truth.square())
    distance = (mean(predicted) - mean(labels)).square()
    return 2.0 * mean(centred * truth) / (spread + distance).clamp(min=1e-8)


def affect_loss(predicted: Tensor, labels: Tensor) -> Tensor:
    """Compute 1 - CCC of the faces that have labels, averaged over valence and arousal.

    Args:
        predicted: float (B, 2) in [-1, 1].
        labels: float (B, 2), NaN where nobody labelled a face.

    Returns:
        A scalar in [0, 2]; 0 when fewer than two faces have labels.
    """
    known = labels.isfinite().all(dim=1, keepdim=True)
    enough = known.sum() >= 2  # asked on the device: a GPU is not waited for
    lost = 1.0 - concordance(predicted, torch.where(known, labels, 0.0), known.float()).mean()
    return torch.where(enough, lost, 0.0)


def sample_labels(targets: Tensor, rng: torch.Generator) -> Tensor:
    """Sample a one-hot label (B, K) from each target distribution (probabilistic label sampling).

    Rows of zeros stay zeros.
    """
    known = named(targets)
    chances = torch.where(known[:, None], targets, 1.0)
    sampled = torch.multinomial(chances, 1, generator=rng).squeeze(1)
    return functional.one_hot(sampled, targets.shape[1]).to(targets.dtype) * known[:, None]


def named(targets: Tensor) -> Tensor:
    """Find the rows of targets (B, K) that name an emotion, bool (B,); the others are zeros."""
    return targets.sum(dim=1) > 0


def smooth(targets: Tensor, amount: float, present: Tensor) -> Tensor:
    """Spread the share `amount` of each target (B, K) evenly over emotions that are `present`, bool (K,)."""
    even = present.to(targets.dtype) / present.sum()
    return targets * (1 - amount) + amount * targets.sum(dim=1, keepdim=True) * even


class TrainingLoss(nn.Module):
    """Apply the loss that a config names, with the state that dynamic weights learn.

    Dynamic weights follow group DRO (Sagawa et al. 2020, arXiv 1911.08731): after each step the weight of an
    emotion grows with its mean loss, exponentiated-gradient ascent against the network's descent.

    Args:
        config: names the loss, the weights and the share of the epochs before they act.
        counts: float (K,), training faces of each emotion (sums of target distributions); all 0 where
            valence and arousal alone are known.
    """

    counts: Tensor
    log_priors: Tensor
    margins: Tensor
    weights: Tensor

    def __init__(self, config: TrainConfig, counts: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("counts", counts.float(), persistent=False)
        priors = counts / counts.sum().clamp(min=1e-12)
        self.register_buffer("log_priors", priors.clamp(min=1e-6).log(), persistent=False)
        self.register_buffer("margins", margins(counts, config.margin), persistent=False)
        tables = {"inverse": inverse_weights, "effective": effective_weights}
        given = parse_numbers(config.emotion_weights, "emotion-weights")
        ones = torch.tensor([given.get(name, 1.0) for name in EMOTIONS[: len(counts)]])
        weigh = tables.get(config.class_weights)
        self.register_buffer("weights", weigh(counts) if weigh else ones)
        self.acting = True

    def terms(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the unweighted loss float (B, K), one term a picture and emotion."""
        if self.config.target == "multi":
            return any_accepted(logits, targets)
        match self.config.loss:
            case "focal":
                return focal(logits, targets, self.config.focal_gamma)
            case "kl":
                return kl_divergence(logits, targets)
            case "ldam":
                return cross_entropy(logits - self.margins * targets, targets)
            case "logit-adjusted":  # Menon et al. 2021, arXiv 2007.07314, equation 10
                return cross_entropy(logits + self.config.tau * self.log_priors, targets)
            case "ce":
                return cross_entropy(logits, targets)

    def at_epoch(self, epoch: int) -> None:
        """Say which epoch (from 0) begins: weights act from the share `defer` of the epochs on."""
        self.acting = epoch >= self.config.defer * self.config.epochs

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the mean loss, a scalar, of logits and targets float (B, K); 0 where no row counts."""
        terms, known = self.terms(logits, targets), named(targets)
        if self.acting:
            terms = terms * self.weights
        return torch.where(known, terms.sum(dim=1), 0.0).sum() / known.sum().clamp(min=1)

    @torch.no_grad()
    def sums(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum what `learn` needs of a batch: unweighted loss and target mass by emotion, float (2, K)."""
        return torch.stack([self.terms(logits, targets).sum(dim=0), targets.sum(dim=0)])

    @torch.no_grad()
    def learn(self, sums: Tensor) -> None:
        """Move dynamic weights by the batch's `sums`; does nothing with other weights."""
        if self.config.class_weights != "dynamic" or not self.acting:
            return
        loss, mass = sums
        step = torch.where(mass > 0, loss / mass.clamp(min=1e-6), torch.zeros_like(loss))
        grown = _normalised(self.weights * torch.exp(self.config.dynamic_rate * step), self.counts)
        self.weights.copy_(grown.clamp(1.0 / WEIGHT_LIMIT, WEIGHT_LIMIT))
