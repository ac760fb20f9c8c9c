"""After training, on the validation split: boost rare emotions, then make confidence mean what it says."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fer_space.card import BriefRates, Card, Validation
from fer_space.evaluation.metrics import accuracy, balanced_accuracy, ece

STRENGTHS = [i / 20 for i in range(21)]
ACCURACY_GIVEN_UP = 0.001  # a tenth of a point of validation accuracy
BOOST_GIVEN_UP = 0.01  # a point
LEAST = 1e-12  # a smaller probability counts as this one
COLDEST, WARMEST = 0.05, 20.0  # few faces that are all read rightly ask for no temperature at all


def calibrate(card: Card, logits: Tensor, labels: Tensor, priors: Tensor) -> Card:
    """Fit bias and temperature of a network on its validation split.

    Args:
        card: of the network; what bias and temperature it has does not matter.
        logits: float (N, K), as the network gives them, one column a label of the card.
        labels: int64 (N,), index into the card's labels.
        priors: float (K,), the share of each label where it learned.

    Returns:
        The card with bias, temperature and what they change on these faces.
    """
    bias = fit_adjustment(logits, labels, priors)
    temperature = min(max(fit_temperature(logits + bias, labels), COLDEST), WARMEST)
    rounded = tuple(round(value, 4) for value in bias.tolist())
    plain = card.model_copy(update={"bias": (0.0,) * len(card.labels), "temperature": 1.0})
    warm = plain.model_copy(update={"bias": rounded})
    done = warm.model_copy(update={"temperature": round(temperature, 4)})
    truth = np.array(card.columns)[labels.numpy()]
    rates = [_brief_rates(c.probabilities(logits.numpy()), truth) for c in (plain, warm, done)]
    validation = Validation(plain=rates[0], before_temperature=rates[1], calibrated=rates[2])
    return done.model_copy(update={"validation": validation})


def fit_adjustment(
    logits: Tensor, labels: Tensor, priors: Tensor, given_up: float = ACCURACY_GIVEN_UP
) -> Tensor:
    """Fit the bias that boosts rare emotions as far as `given_up` of the accuracy pays for.

    Post-hoc logit adjustment, Menon et al. 2021, arXiv 2007.07314: minus tau times the log of the class
    priors. Of all tau in [0, 1] whose accuracy is within `given_up` of the unadjusted one, the tau with the
    best balanced accuracy.

    Args:
        logits: float (N, K) of the validation split.
        labels: int64 (N,).
        priors: float (K,), the share of each emotion in the training targets.
        given_up: share of the faces.

    Returns:
        float64 (K,), at least 0.
    """
    direction = -priors.double().clamp(min=1e-6).log()
    direction = direction - direction.min()

    def scores(tau: float) -> tuple[float, float]:
        rows = (logits.double() + tau * direction).softmax(dim=1).numpy()
        return accuracy(rows, labels.numpy()), balanced_accuracy(rows, labels.numpy())

    by_tau = {tau: scores(tau) for tau in STRENGTHS}
    floor = by_tau[0.0][0] - given_up
    allowed = [tau for tau in STRENGTHS if by_tau[tau][0] >= floor]
    return max(allowed, key=lambda tau: by_tau[tau][1]) * direction


def fit_boost(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Fit what the second operating point adds to log probabilities.

    Like `fit_adjustment`, for BOOST_GIVEN_UP of the accuracy; the priors are the mean of the probabilities.

    Args:
        probabilities: float (N, K) of the validation split.
        labels: int64 (N,).

    Returns:
        float64 (K,), the least of them 0.
    """
    logs = probabilities.double().clamp(min=LEAST).log()
    return fit_adjustment(logs, labels, probabilities.double().mean(dim=0), BOOST_GIVEN_UP)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Fit the temperature that minimises the cross entropy of softmax(logits / T).

    Guo et al. 2017, arXiv 1706.04599. Never changes which emotion is on top.

    Args:
        logits: float (N, K) of the validation split.
        labels: int64 (N,).

    Returns:
        T > 0.
    """
    logits = logits.detach().double()
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(logits / log_temperature.exp(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().exp())


def _brief_rates(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> BriefRates:
    """Score calibrated probabilities float64 (N, 8) for the card."""
    rows = np.nan_to_num(probabilities)
    return BriefRates(
        n=len(labels),
        accuracy=round(accuracy(rows, labels), 5),
        balanced_accuracy=round(balanced_accuracy(rows, labels), 5),
        ece=round(ece(rows, labels), 5),
    )
