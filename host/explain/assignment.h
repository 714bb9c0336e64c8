#pragma once

#include <cstdint>
#include <vector>

namespace dnc {

/// Gives each row of a table of costs [rows, columns], rows <= columns, a column of its own so that
/// the sum of the costs is the least there is: the column of each row. Exact, by shortest
/// augmenting paths (Jonker and Volgenant, "A shortest augmenting path algorithm for dense and
/// sparse linear assignment problems", 1987), in rows^2 * columns steps. The costs are finite.
std::vector<int64_t> cheapest_assignment(const std::vector<double>& costs, int64_t rows,
                                         int64_t columns);

}  // namespace dnc
