"""Two labels for many nodes at the least cost: a minimum cut.

Source: Greig, Porteous & Seheult 1989; Boykov & Jolly 2001. The flow is SciPy's (Dinic).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

CAPACITY = 1000  # capacities of the flow are whole numbers: this many to one unit of cost
MAX_COST = 1e5  # costs beyond it are as good as it: their sums must fit 31 bits

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


def min_cut(gain: Floats, heads: Ints, tails: Ints, costs: Floats) -> NDArray[np.bool_]:
    """The labels x of nodes that minimize -sum(gain[x]) + sum(costs where x[heads] != x[tails]).

    Args:
        gain: (n,) what is gained where a node is labeled True; negative: what is lost.
        heads, tails: (m,) pairs of nodes, each pair once.
        costs: (m,) >= 0 of a pair whose labels differ.

    Returns:
        (n,) bool; costs are rounded to 1 / ``CAPACITY``.
    """
    n = len(gain)
    source, sink = n, n + 1
    wins, loses = (np.flatnonzero(sign * gain > 0).astype(np.int32) for sign in (1, -1))
    units = _units(costs)
    rows = np.concatenate((heads, tails, np.full(len(wins), source, np.int32), loses))
    columns = np.concatenate((tails, heads, wins, np.full(len(loses), sink, np.int32)))
    capacities = np.concatenate((units, units, _units(gain[wins]), _units(-gain[loses])))
    graph = sparse.csr_array((capacities, (rows, columns)), shape=(n + 2, n + 2))
    flow = csgraph.maximum_flow(graph, source, sink, method="dinic").flow
    rest = sparse.csr_array(graph - flow)  # what could still flow; its zeros are full edges
    rest.eliminate_zeros()
    reached = csgraph.breadth_first_order(rest, source, return_predecessors=False)
    labels = np.zeros(n + 2, dtype=bool)
    labels[reached] = True
    return labels[:n]


def _units(costs: Floats) -> Ints:
    return np.rint(np.minimum(costs, MAX_COST) * CAPACITY).astype(np.int32)
