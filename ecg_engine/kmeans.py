"""K-means as scikit-learn does it by default (best of 20 k-means++ starts), at less cost and on one thread.

The starts are drawn by the same steps, from the same random numbers, as in scikit-learn (Arthur & Vassilvitskii 2007,
greedy variant); what differs is that the rows are raised to double precision once instead of at each of the 20 x k
steps. A test holds that the clusters are those of plain ``KMeans`` on one thread.

One thread, for two reasons. The order in which several threads add up their parts changes the last digits, and with
them, now and then, which of the 20 starts wins: the same file must give the same clusters on every machine. And where
other work keeps the processors busy, scikit-learn's threads wait for each other in a busy loop: ten times the
processor time was measured.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

N_INIT = 20
_BLOCK = 8192


def kmeans(values: NDArray[np.float32], k: int, seed: int) -> NDArray[np.int32]:
    """Cluster of each row.

    Parameters
    ----------
    values : float32 (n, D)
    k : int
        Held to n.
    seed : int

    Returns
    -------
    int32 (n,)
    """
    # scikit-learn takes a second to import, and reading a file does not need it
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with warnings.catch_warnings(), threadpool_limits(1):
        # fewer different rows than clusters: some clusters stay empty, which is no harm
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(n_clusters=min(k, len(values)), init=_PlusPlus(), random_state=seed, n_init=N_INIT)
        return np.asarray(model.fit_predict(values), dtype=np.int32)


class _PlusPlus:
    """Greedy k-means++ starts; what does not change from one start to the next is kept."""

    def __init__(self) -> None:
        self._values: NDArray[np.float32] | None = None

    def __call__(self, values: NDArray[np.float32], k: int, random_state: np.random.RandomState) -> NDArray[np.float32]:
        if self._values is not values:
            self._values = values
            double = values.astype(np.float64)
            self._norms = np.einsum("ij,ij->i", double, double)
            self._columns = np.ascontiguousarray(double.T)
            self._weights = np.ones(len(values), dtype=np.float32)
        trials = 2 + int(np.log(k))
        weights = self._weights
        chosen = [int(random_state.choice(len(values), p=weights / weights.sum()))]
        nearest = self._distances(np.array(chosen))[0]
        potential = nearest @ weights
        for _ in range(1, k):
            drawn = random_state.uniform(size=trials) * potential
            candidates = np.minimum(np.searchsorted(np.cumsum(nearest), drawn), len(values) - 1)
            distances = self._distances(candidates)
            np.minimum(nearest, distances, out=distances)
            potentials = (distances @ weights[:, np.newaxis])[:, 0]
            best = int(np.argmin(potentials))
            potential, nearest = potentials[best], distances[best]
            chosen.append(int(candidates[best]))
        return values[chosen]

    def _distances(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Squared distances of some rows to all rows, float32 (k, n)."""
        out = np.empty((len(rows), len(self._norms)), dtype=np.float32)
        doubled, norms = -2 * self._columns[:, rows].T, self._norms[rows, np.newaxis]
        for start in range(0, out.shape[1], _BLOCK):
            block = slice(start, start + _BLOCK)
            out[:, block] = doubled @ self._columns[:, block] + norms + self._norms[block]
        return np.maximum(out, 0, out=out)
