"""From stored embeddings to a map that can be drawn: t-SNE of a stratified subset."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from fer_space.errors import InputError

FACES = 2_000
COMPONENTS = 50
PERPLEXITY = 30.0
FEWEST = 5


def tsne_points(embeddings: NDArray[np.float16], seed: int = 0) -> NDArray[np.float64]:
    """Place embeddings (N, C) on a plane, float64 (N, 2): PCA to 50 components first, then t-SNE.

    van der Maaten and Hinton 2008, "Visualizing data using t-SNE". The same seed gives the same map.
    Raises InputError for fewer than FEWEST faces.
    """
    if len(embeddings) < FEWEST:
        raise InputError(f"A map needs at least {FEWEST} faces with embeddings; here are {len(embeddings)}.")
    values = embeddings.astype(np.float64)
    components = min(COMPONENTS, *values.shape)
    reduced = PCA(components, random_state=seed).fit_transform(values)
    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return np.asarray(points, dtype=np.float64)


def stratified(labels: NDArray[np.int64], limit: int = FACES, seed: int = 0) -> NDArray[np.int64]:
    """Indices of at most `limit` faces, in ascending order, each label by its share and none left out.

    Args:
        labels: int64 (N,).
        limit: at least the number of labels.
        seed: of the draw.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    quantile = np.empty(len(labels))
    for label in np.unique(labels):
        own = order[labels[order] == label]
        quantile[own] = np.arange(len(own)) / len(own)
    picks: NDArray[np.int64] = np.sort(np.argsort(quantile, kind="stable")[:limit])
    return picks
