#include "files/faults.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>

namespace pairdex {
namespace {

std::atomic<std::uint64_t> faults{0};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "the handler may not take locks");

struct sigaction before{};
std::uintptr_t page_bytes = 0;

// Only async-signal-safe calls: mmap is one system call here.
void put_zeros(int signal, siginfo_t* info, void*) {
  const int saved = errno;
  void* zeros = MAP_FAILED;
  if (info->si_code == BUS_ADRERR) {
    faults.fetch_add(1);  // before the page can be read: whoever reads zeros finds the count grown
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr) / page_bytes * page_bytes;
    // Read-only: a write to a lost page then ends the process instead of vanishing.
    zeros =
        mmap(reinterpret_cast<void*>(address), page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  }
  if (zeros == MAP_FAILED) {  // not ours: it comes again when this returns, and the handler before acts
    sigaction(signal, &before, nullptr);
    raise(signal);
  }
  errno = saved;
}

}  // namespace

bool survive_faults() {
  static std::once_flag once;
  static bool is_installed = false;
  std::call_once(once, [] {
    page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    struct sigaction action{};
    action.sa_sigaction = put_zeros;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    is_installed = sigaction(SIGBUS, &action, &before) == 0;
  });
  return is_installed;
}

std::uint64_t fault_count() { return faults.load(); }

}  // namespace pairdex
