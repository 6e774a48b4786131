// Faults of mapped files: a page that a file has lost is read as zeros, and counted, instead of ending the process.
#pragma once

#include <cstdint>

namespace pairdex {

// Survive SIGBUS on pages that a mapped file no longer has (it was truncated, or its disk fails), from now on in this
// process. Other faults go to the handler that was there before. Calling it again changes nothing.
// Returns false if the handler cannot be installed.
bool survive_faults();

// Number of faults survived so far. What was read from maps while it grew may be zeros instead of the file's bytes.
std::uint64_t fault_count();

}  // namespace pairdex
