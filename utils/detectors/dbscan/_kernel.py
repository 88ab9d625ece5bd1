"""Compiled loops of the neighbour search and of the clustering; imported at first use (numba takes a second).

Points are kept in the order of a k-d tree whose nodes have exact bounding boxes. All squared distances are summed in
float64, column after column. Bounds of boxes are summed in the same way, and rounding is monotonic, so a bound never
contradicts a distance: no pair at exactly the radius is lost or won.
"""
# ruff: noqa: ANN001, ANN202 (numba finds the types of compiled functions itself)
# mypy: ignore-errors

import numpy as np
from numba import njit

STACK = 4096
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(29)
NOBODY = -1


@njit(cache=True, nogil=True)
def group_rows(bits):
    """Number equal rows in order of first appearance: (first row of each, number of each row)."""
    rows, width = bits.shape
    size = 16
    while size < 2 * rows:
        size *= 2
    table = np.full(size, NOBODY, np.int64)
    first, inverse, found = np.empty(rows, np.int64), np.empty(rows, np.int64), 0
    for row in range(rows):
        code = np.uint64(width)
        for column in range(width):
            code = (code ^ bits[row, column]) * MULTIPLIER
            code ^= code >> SHIFT
        place = np.int64(code & np.uint64(size - 1))
        while True:
            group = table[place]
            if group == NOBODY:
                table[place], first[found], inverse[row] = found, row, found
                found += 1
                break
            if _same(bits, first[group], row):
                inverse[row] = group
                break
            place = (place + 1) & (size - 1)
    return first[:found].copy(), inverse


@njit(cache=True, nogil=True)
def _same(bits, one, other):
    for column in range(bits.shape[1]):  # noqa: SIM110
        if bits[one, column] != bits[other, column]:
            return False
    return True


@njit(cache=True, nogil=True)
def build(points, leaf):
    """Build a k-d tree by halving along the widest side: (order, begin, end, left child or -1, lowest, highest).

    The right child follows the left one.
    """
    rows, width = points.shape
    most = 1
    while most * leaf < rows:
        most *= 2
    most = 2 * most
    order = np.arange(rows)
    begin, end = np.empty(most, np.int64), np.empty(most, np.int64)
    left = np.full(most, NOBODY, np.int64)
    low, high = np.empty((most, width)), np.empty((most, width))
    begin[0], end[0], nodes, node = 0, rows, 1, 0
    while node < nodes:
        _bound(points, order, begin[node], end[node], low[node], high[node])
        if end[node] - begin[node] > leaf:
            axis, widest = 0, -1.0
            for column in range(width):
                side = high[node, column] - low[node, column]
                if side > widest:
                    axis, widest = column, side
            middle = (begin[node] + end[node]) // 2
            _halve(points, order, begin[node], end[node], middle, axis)
            left[node] = nodes
            begin[nodes], end[nodes] = begin[node], middle
            begin[nodes + 1], end[nodes + 1] = middle, end[node]
            nodes += 2
        node += 1
    return order, begin[:nodes], end[:nodes], left[:nodes], low[:nodes].copy(), high[:nodes].copy()


@njit(cache=True, nogil=True)
def _bound(points, order, begin, end, low, high):
    low[:], high[:] = np.inf, -np.inf
    for place in range(begin, end):
        row = order[place]
        for column in range(points.shape[1]):
            value = points[row, column]
            if value < low[column]:
                low[column] = value
            if value > high[column]:
                high[column] = value


@njit(cache=True, nogil=True)
def _halve(points, order, begin, end, middle, axis):
    """Hoare's selection: no point before the middle is beyond one behind it."""
    first, last = begin, end - 1
    while first < last:
        pivot = points[order[(first + last) // 2], axis]
        up, down = first, last
        while up <= down:
            while points[order[up], axis] < pivot:
                up += 1
            while points[order[down], axis] > pivot:
                down -= 1
            if up <= down:
                order[up], order[down] = order[down], order[up]
                up += 1
                down -= 1
        if middle <= down:
            last = down
        elif middle >= up:
            first = up
        else:
            return


@njit(cache=True, nogil=True)
def _least(low, high, one, other, limit):
    """Smallest squared distance that two boxes allow, or something above the limit."""
    total = 0.0
    for column in range(low.shape[1]):
        gap = max(low[other, column] - high[one, column], low[one, column] - high[other, column])
        if gap > 0.0:
            total += gap * gap
            if total > limit:
                return total
    return total


@njit(cache=True, nogil=True)
def _greatest(low, high, one, other, limit):
    """Largest squared distance that two boxes allow, or something above the limit."""
    total = 0.0
    for column in range(low.shape[1]):
        gap = max(high[other, column] - low[one, column], high[one, column] - low[other, column])
        total += gap * gap
        if total > limit:
            return total
    return total


@njit(cache=True, nogil=True)
def _nearest_of_box(point, low, high, node, limit):
    """Smallest squared distance of a point to a box, or something above the limit."""
    total = 0.0
    for column in range(low.shape[1]):
        gap = max(low[node, column] - point[column], point[column] - high[node, column])
        if gap > 0.0:
            total += gap * gap
            if total > limit:
                return total
    return total


@njit(cache=True, nogil=True)
def _squared(point, columns, begin, end, total):
    """Squared distances of one point to neighbouring places, the columns one after the other."""
    total[: end - begin] = 0.0
    for column in range(len(point)):
        value, others = point[column], columns[column, begin:end]
        for place in range(end - begin):
            gap = value - others[place]
            total[place] += gap * gap


@njit(cache=True, nogil=True)
def _split(stack, top, one, other, begin, end, left):
    """Push the parts of a pair of nodes, the earlier node first in each pair."""
    if one == other:
        child = left[one]
        stack[top], stack[top + 1], stack[top + 2] = (child, child), (child, child + 1), (child + 1, child + 1)
        return top + 3
    if left[other] == NOBODY or (left[one] != NOBODY and end[one] - begin[one] >= end[other] - begin[other]):
        stack[top], stack[top + 1] = (left[one], other), (left[one] + 1, other)
    else:
        stack[top], stack[top + 1] = (one, left[other]), (one, left[other] + 1)
    return top + 2


@njit(cache=True, nogil=True)
def count_pairs(points, columns, begin, end, left, low, high, limit, most):
    """Count for each place the later places within the squared radius; stops when more than ``most`` are found."""
    rows = len(points)
    counts, jumps, found = np.zeros(rows, np.int64), np.zeros(rows + 1, np.int64), 0
    total = np.empty(np.max(end - begin) if len(begin) == 1 else _largest_leaf(begin, end, left))
    stack = [(np.int64(0), np.int64(0))] * STACK
    top = 1
    while top and found <= most:
        top -= 1
        one, other = stack[top]
        if one != other:
            if _least(low, high, one, other, limit) > limit:
                continue
            if _greatest(low, high, one, other, limit) <= limit:
                size = end[other] - begin[other]
                jumps[begin[one]] += size
                jumps[end[one]] -= size
                found += size * (end[one] - begin[one])
                continue
        if left[one] != NOBODY or left[other] != NOBODY:
            top = _split(stack, top, one, other, begin, end, left)
            continue
        for place in range(begin[one], end[one]):
            start = place + 1 if one == other else begin[other]
            if one != other and _nearest_of_box(points[place], low, high, other, limit) > limit:
                continue
            _squared(points[place], columns, start, end[other], total)
            near = 0
            for there in range(end[other] - start):
                near += total[there] <= limit
            counts[place] += near
            found += near
    return counts + np.cumsum(jumps)[:rows], found


@njit(cache=True, nogil=True)
def _largest_leaf(begin, end, left):
    most = 0
    for node in range(len(begin)):
        if left[node] == NOBODY:
            most = max(most, end[node] - begin[node])
    return most


@njit(cache=True, nogil=True)
def fill_pairs(points, columns, begin, end, left, low, high, limit, offsets, others, squares):
    """Write the later places within the squared radius, and the squared distances, as counted."""
    cursor = offsets[:-1].copy()
    total = np.empty(_largest_leaf(begin, end, left))
    stack = [(np.int64(0), np.int64(0))] * STACK
    top = 1
    while top:
        top -= 1
        one, other = stack[top]
        if one != other and _least(low, high, one, other, limit) > limit:
            continue
        if left[one] != NOBODY or left[other] != NOBODY:
            top = _split(stack, top, one, other, begin, end, left)
            continue
        for place in range(begin[one], end[one]):
            start = place + 1 if one == other else begin[other]
            if one != other and _nearest_of_box(points[place], low, high, other, limit) > limit:
                continue
            _squared(points[place], columns, start, end[other], total)
            at = cursor[place]
            for there in range(end[other] - start):
                if total[there] <= limit:
                    others[at], squares[at] = start + there, total[there]
                    at += 1
            cursor[place] = at


@njit(cache=True, nogil=True)
def _exact(points, one, other):
    total = 0.0
    for column in range(points.shape[1]):
        gap = points[one, column] - points[other, column]
        total += gap * gap
    return total


@njit(cache=True, nogil=True)
def _step(points, one, other, square, limits, rounded):
    """Number of the first limit that a distance does not exceed; equal after rounding: the exact distance decides."""
    step = 0
    while square > rounded[step]:
        step += 1
    if square == rounded[step] and _exact(points, one, other) > limits[step]:
        step += 1
        while step < len(limits) and square == rounded[step] and _exact(points, one, other) > limits[step]:
            step += 1
    return step


@njit(cache=True, nogil=True)
def weigh(points, offsets, others, squares, weight, limits, rounded):
    """Weight within each limit of each point, itself included (limits, points).

    The last limit and its rounded value must be infinite.
    """
    rows, steps = len(points), len(limits)
    near = np.zeros((rows, steps))
    for one in range(rows):
        near[one, 0] += weight[one]
        for at in range(offsets[one], offsets[one + 1]):
            other = others[at]
            step = _step(points, one, other, squares[at], limits, rounded)
            near[one, step] += weight[other]
            near[other, step] += weight[one]
    for one in range(rows):
        for step in range(1, steps):
            near[one, step] += near[one, step - 1]
    return near


@njit(cache=True, nogil=True)
def root(parent, place):
    """Representative of a set; paths are halved on the way."""
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


@njit(cache=True, nogil=True)
def unite(points, offsets, others, squares, begins, step, limits, rounded, parent):
    """Unite the core points that become neighbours at one step; ``begins`` is the step at which each becomes core."""
    for one in range(len(points)):
        if begins[one] > step:
            continue
        here = root(parent, one)
        for at in range(offsets[one], offsets[one + 1]):
            other = others[at]
            if begins[other] > step or squares[at] > rounded[step]:
                continue
            there = root(parent, other)
            if here == there or _step(points, one, other, squares[at], limits, rounded) > step:
                continue
            if here < there:
                parent[there] = here
            else:
                parent[here] = there
                here = there


@njit(cache=True, nogil=True)
def number(parent, core, places, labels):
    """Number the clusters of core points in the order of their first point; returns how many there are."""
    names = np.full(len(parent), NOBODY, np.int64)
    found = 0
    for row in range(len(places)):
        place = places[row]
        if core[place]:
            top = root(parent, place)
            if names[top] == NOBODY:
                names[top] = found
                found += 1
            labels[place] = names[top]
    return found


@njit(cache=True, nogil=True)
def _lower(labels, place, label):
    if labels[place] == NOBODY or label < labels[place]:
        labels[place] = label


@njit(cache=True, nogil=True)
def border(points, offsets, others, squares, core, limit, rounded, labels):
    """Give each point that is no core point to the first cluster that has a core point within the limit."""
    for one in range(len(points)):
        for at in range(offsets[one], offsets[one + 1]):
            other = others[at]
            if core[one] == core[other] or squares[at] > rounded:
                continue
            if squares[at] == rounded and _exact(points, one, other) > limit:
                continue
            if core[one]:
                _lower(labels, other, labels[one])
            else:
                _lower(labels, one, labels[other])


@njit(cache=True, nogil=True)
def nearest(columns, begin, end, left, low, high, first, queries):
    """Nearest place of each query and its squared distance; of equally near places the one with the first row."""
    rows = len(queries)
    place, square = np.empty(rows, np.int64), np.empty(rows)
    total = np.empty(_largest_leaf(begin, end, left))
    nodes, bounds = np.empty(STACK, np.int64), np.empty(STACK)
    for row in range(rows):
        best, at, top = np.inf, NOBODY, 1
        nodes[0], bounds[0] = 0, 0.0
        while top:
            top -= 1
            node = nodes[top]
            if bounds[top] > best:
                continue
            if left[node] == NOBODY:
                _squared(queries[row], columns, begin[node], end[node], total)
                for there in range(end[node] - begin[node]):
                    here = begin[node] + there
                    if total[there] < best or (total[there] == best and (at == NOBODY or first[here] < first[at])):
                        best, at = total[there], here
                continue
            child = left[node]
            one = _nearest_of_box(queries[row], low, high, child, best)
            other = _nearest_of_box(queries[row], low, high, child + 1, best)
            further = child + 1 if one <= other else child
            nodes[top], bounds[top] = further, max(one, other)
            nodes[top + 1], bounds[top + 1] = 2 * child + 1 - further, min(one, other)
            top += 2
        place[row], square[row] = at, best
    return place, square


@njit(cache=True, nogil=True)
def reach(columns, weight, begin, end, left, low, high, queries, k, capacity):
    """Squared radius around each query within which the weight reaches k; infinite where it never does."""
    radius = np.empty(len(queries))
    total = np.empty(_largest_leaf(begin, end, left))
    nodes, bounds = np.empty(STACK, np.int64), np.empty(STACK)
    heap, loads = np.empty(capacity + 1), np.empty(capacity + 1)
    for row in range(len(queries)):
        best, size, load, top = np.inf, 0, 0.0, 1
        nodes[0], bounds[0] = 0, 0.0
        while top:
            top -= 1
            node = nodes[top]
            if bounds[top] >= best:
                continue
            if left[node] == NOBODY:
                _squared(queries[row], columns, begin[node], end[node], total)
                for there in range(end[node] - begin[node]):
                    if total[there] < best and weight[begin[node] + there] > 0.0:
                        size = _push(heap, loads, size, total[there], weight[begin[node] + there])
                        load += weight[begin[node] + there]
                        while load - loads[0] >= k:
                            load -= loads[0]
                            size = _pop(heap, loads, size)
                        if load >= k:
                            best = heap[0]
                continue
            child = left[node]
            one = _nearest_of_box(queries[row], low, high, child, best)
            other = _nearest_of_box(queries[row], low, high, child + 1, best)
            further = child + 1 if one <= other else child
            nodes[top], bounds[top] = further, max(one, other)
            nodes[top + 1], bounds[top + 1] = 2 * child + 1 - further, min(one, other)
            top += 2
        radius[row] = best
    return radius


@njit(cache=True, nogil=True)
def _push(heap, loads, size, square, load):
    place = size
    while place:
        parent = (place - 1) // 2
        if heap[parent] >= square:
            break
        heap[place], loads[place] = heap[parent], loads[parent]
        place = parent
    heap[place], loads[place] = square, load
    return size + 1


@njit(cache=True, nogil=True)
def _pop(heap, loads, size):
    size -= 1
    square, load, place = heap[size], loads[size], 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= square:
            break
        heap[place], loads[place] = heap[child], loads[child]
        place = child
    heap[place], loads[place] = square, load
    return size
