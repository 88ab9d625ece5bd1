"""Compiled loops of the neighbour search and of the clustering; imported at first use (numba takes a second).

Points are kept in the order of a k-d tree. Squared distances are summed in float64, column after column. Bounds of
boxes are summed in any order, which is faster, and widened by far more than rounding can do, so that a bound never
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
BELOW, ABOVE = 1 - 1e-9, 1 + 1e-9
"""What bounds are multiplied with: wider than the rounding of sums of a million squares."""
LOOSE = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True)
def group_rows(bits) -> tuple[np.ndarray, np.ndarray]:
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
def build(points, leaf) -> tuple[np.ndarray, ...]:
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
    for column in range(points.shape[1]):
        low[column], high[column] = np.inf, -np.inf
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


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _least(low, high, one, other):
    """Smallest squared distance that two boxes allow, not above any distance as it is computed."""
    total = 0.0
    for column in range(low.shape[1]):
        gap = max(low[other, column] - high[one, column], low[one, column] - high[other, column], 0.0)
        total += gap * gap
    return total * BELOW


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _greatest(low, high, one, other):
    """Largest squared distance that two boxes allow, not below any distance as it is computed."""
    total = 0.0
    for column in range(low.shape[1]):
        gap = max(high[other, column] - low[one, column], high[one, column] - low[other, column])
        total += gap * gap
    return total * ABOVE


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _nearest_of_box(point, low, high, node):
    """Smallest squared distance of a point to a box, not above any distance as it is computed."""
    total = 0.0
    for column in range(len(point)):
        gap = max(low[node, column] - point[column], point[column] - high[node, column], 0.0)
        total += gap * gap
    return total * BELOW


@njit(cache=True, nogil=True)
def tile(points, begin, end, left) -> np.ndarray:
    """Copy the points leaf by leaf, and within a leaf column by column, so that a leaf is one piece of memory."""
    rows, width = points.shape
    tiles = np.empty(rows * width)
    for leaf in range(len(begin)):
        if left[leaf] == NOBODY:
            size, offset = end[leaf] - begin[leaf], begin[leaf] * width
            for place in range(size):
                for column in range(width):
                    tiles[offset + column * size + place] = points[begin[leaf] + place, column]
    return tiles


@njit(cache=True, nogil=True)
def _squared(point, tiles, begin, end, total):
    """Squared distances of one point to the points of a leaf, the columns one after the other.

    Four columns at a time, so that sums stay in registers; the order of the additions is the same.
    """
    size, width = end - begin, len(point)
    for at in range(size):
        total[at] = 0.0
    column, offset = 0, begin * width
    while column + 4 <= width:
        one, two, three, four = point[column], point[column + 1], point[column + 2], point[column + 3]
        first, second = tiles[offset : offset + size], tiles[offset + size : offset + 2 * size]
        third, fourth = tiles[offset + 2 * size : offset + 3 * size], tiles[offset + 3 * size : offset + 4 * size]
        for at in range(size):
            gap = one - first[at]
            found = total[at] + gap * gap
            gap = two - second[at]
            found += gap * gap
            gap = three - third[at]
            found += gap * gap
            gap = four - fourth[at]
            total[at] = found + gap * gap
        column += 4
        offset += 4 * size
    while column < width:
        value, others = point[column], tiles[offset : offset + size]
        for at in range(size):
            gap = value - others[at]
            total[at] += gap * gap
        column += 1
        offset += size


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
def _largest(begin, end):
    most = 0
    for leaf in range(len(begin)):
        most = max(most, end[leaf] - begin[leaf])
    return most


@njit(cache=True, nogil=True)
def pair_leaves(begin, end, left, low, high, limit, most, one, other, least, greatest) -> int:
    """Find the pairs of leaves whose boxes are within a squared radius, each leaf with itself included.

    Writes nodes and bounds while there is room; stops when more than ``most`` are found. Returns how many there are.
    """
    room, found, top = len(one), 0, 1
    stack = [(np.int64(0), np.int64(0))] * STACK
    while top and found <= most:
        top -= 1
        here, there = stack[top]
        bound = 0.0 if here == there else _least(low, high, here, there)
        if bound > limit:
            continue
        if left[here] != NOBODY or left[there] != NOBODY:
            top = _split(stack, top, here, there, begin, end, left)
            continue
        if found < room:
            one[found], other[found] = here, there
            least[found] = np.nextafter(np.float32(bound), np.float32(-np.inf))
            greatest[found] = np.nextafter(np.float32(_greatest(low, high, here, there)), np.float32(np.inf))
        found += 1
    return found


@njit(cache=True, nogil=True)
def weigh(points, tiles, begin, end, low, high, pairs, gap, weight, load, limits, enough, near, whole) -> None:
    """Add up the weight within each squared radius of each place, itself included.

    What a place has is the sum of ``near`` (limits, places) and, for its leaf, of ``whole`` (limits, leaves), which
    takes what all points of the leaf have in common; both are 0 at first. ``load`` is the weight of each leaf.

    Pairs of leaves are passed over where all points have enough within the smallest radius that the pair can change:
    sums may then be too small, but none that is below ``enough``.
    """
    one, other, least, greatest = pairs
    steps = len(limits)
    level, total = np.full(len(begin), steps), np.empty(_largest(begin, end))
    for pair in range(len(one)):
        here, there = one[pair], other[pair]
        first = 0
        while first < steps and limits[first] < least[pair]:
            first += 1
        if first == steps:
            break
        if level[here] <= first and level[there] <= first:
            continue
        last = first
        while last < steps and limits[last] < greatest[pair]:
            last += 1
        for step in range(last, steps):
            whole[step, here] += load[there]
            if here != there:
                whole[step, there] += load[here]
        if first < last:
            gap[pair] = _weigh_pair(
                points, tiles, begin, end, low, high, here, there, weight, limits, first, last, near, total
            )
        level[here] = _level(near, whole, begin, end, here, level[here], enough)
        level[there] = _level(near, whole, begin, end, there, level[there], enough)


@njit(cache=True, nogil=True)
def _weigh_pair(points, tiles, begin, end, low, high, here, there, weight, limits, first, last, near, total):
    """Add the weights within some radii between the points of two leaves, or of one; returns a bound of the gap."""
    furthest, gap = limits[last - 1], np.inf
    for place in range(begin[here], end[here]):
        start = begin[there]
        if here == there:
            start = place + 1
            for step in range(first, last):
                near[step, place] += weight[place]
        elif _nearest_of_box(points[place], low, high, there) > furthest:
            gap = min(gap, np.nextafter(furthest, np.inf))
            continue
        _squared(points[place], tiles, begin[there], end[there], total)
        found = total[start - begin[there] : end[there] - begin[there]]
        gap = min(gap, _smallest(found))
        if gap > furthest:
            continue
        for step in range(first, last):
            limit, inside = limits[step], 0
            for at in range(len(found)):
                inside += found[at] <= limit
            if inside:
                _weigh_row(found, limit, weight, near[step], place, start)
    return gap


@njit(cache=True, nogil=True, fastmath=LOOSE)
def _smallest(values):
    found = np.inf
    for at in range(len(values)):
        found = min(found, values[at])
    return found


@njit(cache=True, nogil=True)
def _weigh_row(found, limit, weight, near, place, start):
    """Add the weights of one point and of neighbouring places to each other."""
    load, own = 0.0, weight[place]
    for at in range(len(found)):
        if found[at] <= limit:
            load += weight[start + at]
    near[place] += load
    for at in range(len(found)):
        near[start + at] += own if found[at] <= limit else 0.0


@njit(cache=True, nogil=True)
def _level(near, whole, begin, end, leaf, level, enough):
    """First step from which all points of a leaf have enough within the radius."""
    while level:
        for place in range(begin[leaf], end[leaf]):
            if near[level - 1, place] + whole[level - 1, leaf] < enough:
                return level
        level -= 1
    return level


@njit(cache=True, nogil=True)
def root(parent, place) -> int:
    """Representative of a set; paths are halved on the way."""
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


@njit(cache=True, nogil=True)
def _join(parent, here, there):
    """Unite two sets given by their representatives; returns that of both."""
    if here < there:
        parent[there] = here
        return here
    parent[here] = there
    return there


@njit(cache=True, nogil=True)
def _common(parent, begins, step, begin, end, leaf, known):
    """Representative of all core points of a leaf, or -1 while there are several; once common, it stays so."""
    if known[leaf] != NOBODY:
        return root(parent, known[leaf])
    found = NOBODY
    for place in range(begin[leaf], end[leaf]):
        if begins[place] <= step:
            top = root(parent, place)
            if found == NOBODY:
                found = top
            elif found != top:
                return NOBODY
    known[leaf] = found
    return found


@njit(cache=True, nogil=True)
def unite(points, tiles, begin, end, low, high, pairs, gap, begins, earliest, step, limit, parent) -> None:
    """Unite the core points within a squared radius.

    ``begins`` is the step at which each place becomes a core point, ``earliest`` the first of those of each leaf.
    """
    one, other, least, greatest = pairs
    known, total = np.full(len(begin), NOBODY, np.int64), np.empty(_largest(begin, end))
    for pair in range(len(one)):
        if least[pair] > limit:
            break
        here, there = one[pair], other[pair]
        if gap[pair] > limit or earliest[here] > step or earliest[there] > step:
            continue
        top = _common(parent, begins, step, begin, end, here, known)
        apex = _common(parent, begins, step, begin, end, there, known)
        if top != NOBODY and top == apex:
            continue
        if greatest[pair] <= limit:
            _unite_all(parent, begins, step, begin, end, here, there)
            continue
        if gap[pair] < 0.0:
            gap[pair] = _gap(points, tiles, begin, end, low, high, here, there, total)
        if gap[pair] <= limit:
            _unite_pair(points, tiles, begin, end, low, high, here, there, begins, step, limit, parent, apex, total)


@njit(cache=True, nogil=True)
def _gap(points, tiles, begin, end, low, high, here, there, total):
    """Least squared distance between points of two leaves, or of one."""
    found = np.inf
    for place in range(begin[here], end[here]):
        start = place + 1 if here == there else begin[there]
        if here == there or _nearest_of_box(points[place], low, high, there) <= found:
            _squared(points[place], tiles, begin[there], end[there], total)
            found = min(found, _smallest(total[start - begin[there] : end[there] - begin[there]]))
    return found


@njit(cache=True, nogil=True)
def _unite_all(parent, begins, step, begin, end, here, there):
    """Unite all core points of two leaves."""
    top = NOBODY
    for leaf in (here, there):
        for place in range(begin[leaf], end[leaf]):
            if begins[place] <= step:
                mine = root(parent, place)
                top = mine if top in (NOBODY, mine) else _join(parent, top, mine)


@njit(cache=True, nogil=True)
def _unite_pair(points, tiles, begin, end, low, high, here, there, begins, step, limit, parent, apex, total):
    """Unite the core points of two leaves that are near enough; ``apex`` is a member of all of the other, or -1."""
    for place in range(begin[here], end[here]):
        if begins[place] > step:
            continue
        top = root(parent, place)
        if apex != NOBODY and root(parent, apex) == top:
            continue
        start = place + 1 if here == there else begin[there]
        if not _others(parent, begins, step, start, end[there], top):
            continue
        if here != there and _nearest_of_box(points[place], low, high, there) > limit:
            continue
        _squared(points[place], tiles, begin[there], end[there], total)
        for at in range(start, end[there]):
            if total[at - begin[there]] <= limit and begins[at] <= step:
                mine = root(parent, at)
                if mine != top:
                    top = _join(parent, top, mine)
                if apex != NOBODY:
                    break


@njit(cache=True, nogil=True)
def _others(parent, begins, step, start, stop, top):
    """Whether one of neighbouring places is a core point of another set."""
    for place in range(start, stop):
        if begins[place] <= step and parent[place] != top and root(parent, place) != top:
            return True
    return False


@njit(cache=True, nogil=True)
def number(parent, core, places, labels) -> int:
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
def border(points, tiles, begin, end, low, high, pairs, gap, core, limit, labels) -> None:
    """Give each point that is no core point to the first cluster that has a core point within the squared radius."""
    one, other, least, _ = pairs
    leaves = len(begin)
    lowest, open_ = np.full(leaves, len(points), np.int64), np.zeros(leaves, np.bool_)
    total = np.empty(_largest(begin, end))
    for leaf in range(leaves):
        for place in range(begin[leaf], end[leaf]):
            if core[place]:
                lowest[leaf] = min(lowest[leaf], labels[place])
            else:
                open_[leaf] = True
    for pair in range(len(one)):
        if least[pair] > limit:
            break
        here, there = one[pair], other[pair]
        if gap[pair] > limit:
            continue
        if open_[here] and lowest[there] < len(points):
            _border_pair(points, tiles, begin, end, low, high, here, there, core, limit, labels, lowest, total)
        if here != there and open_[there] and lowest[here] < len(points):
            _border_pair(points, tiles, begin, end, low, high, there, here, core, limit, labels, lowest, total)


@njit(cache=True, nogil=True)
def _border_pair(points, tiles, begin, end, low, high, here, there, core, limit, labels, lowest, total):
    """Lower the labels of the points of one leaf that are no core points to those of core points of another."""
    for place in range(begin[here], end[here]):
        label = labels[place]
        if core[place] or (label != NOBODY and label <= lowest[there]):
            continue
        if _nearest_of_box(points[place], low, high, there) > limit:
            continue
        _squared(points[place], tiles, begin[there], end[there], total)
        for at in range(end[there] - begin[there]):
            mine = labels[begin[there] + at]
            if total[at] <= limit and core[begin[there] + at] and (label == NOBODY or mine < label):
                label = mine
        labels[place] = label


@njit(cache=True, nogil=True)
def _largest_leaf(begin, end, left):
    most = 0
    for node in range(len(begin)):
        if left[node] == NOBODY:
            most = max(most, end[node] - begin[node])
    return most


@njit(cache=True, nogil=True)
def nearest(tiles, begin, end, left, low, high, first, queries) -> tuple[np.ndarray, np.ndarray]:
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
                _squared(queries[row], tiles, begin[node], end[node], total)
                for there in range(end[node] - begin[node]):
                    here = begin[node] + there
                    if total[there] < best or (total[there] == best and (at == NOBODY or first[here] < first[at])):
                        best, at = total[there], here
                continue
            child = left[node]
            one = _nearest_of_box(queries[row], low, high, child)
            other = _nearest_of_box(queries[row], low, high, child + 1)
            further = child + 1 if one <= other else child
            nodes[top], bounds[top] = further, max(one, other)
            nodes[top + 1], bounds[top + 1] = 2 * child + 1 - further, min(one, other)
            top += 2
        place[row], square[row] = at, best
    return place, square


@njit(cache=True, nogil=True)
def reach(tiles, weight, begin, end, left, low, high, queries, k, capacity) -> np.ndarray:
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
                _squared(queries[row], tiles, begin[node], end[node], total)
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
            one = _nearest_of_box(queries[row], low, high, child)
            other = _nearest_of_box(queries[row], low, high, child + 1)
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
