// Preloaded into a program, it makes the host's wall clock jump for that program alone, while the program runs.
// BMPHA_CLOCK_FILE names a file of eight bytes: how far the clock is off, in nanoseconds. CLOCK_BOOTTIME and
// CLOCK_MONOTONIC go on, as on a host whose wall clock is set.
//
// Whoever waits until an instant of the wall clock waits as the kernel lets him: a step back makes the wait longer, a
// step forward ends it. Waits are cut into slices; the end of a slice is a spurious wake-up, which every caller of a
// condition variable must expect.
//
// (libfaketime cannot be loaded into redis-server, whose allocator asks for the time before that library is ready; and
// it does not know the waits of C11, which librdkafka uses.)
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kSlice = 20'000'000;

const std::atomic<std::int64_t>* offset_file = nullptr;

__attribute__((constructor)) void map_offset() {
  const char* path = std::getenv("BMPHA_CLOCK_FILE");
  if (path == nullptr) return;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  void* at = fd < 0 ? MAP_FAILED : mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
  if (fd >= 0) close(fd);
  if (at == MAP_FAILED) _exit(111);  // a test without its clock must not go on
  offset_file = static_cast<const std::atomic<std::int64_t>*>(at);
}

std::int64_t read_clock(clockid_t id) {
  timespec t{};
  syscall(SYS_clock_gettime, id, &t);
  return std::int64_t{t.tv_sec} * kSecond + t.tv_nsec;
}

std::int64_t wall(clockid_t id = CLOCK_REALTIME) {
  return read_clock(id) + (offset_file != nullptr ? offset_file->load(std::memory_order_relaxed) : 0);
}

timespec to_timespec(std::int64_t ns) { return {ns / kSecond, ns % kSecond}; }
std::int64_t from_timespec(const timespec& t) { return std::int64_t{t.tv_sec} * kSecond + t.tv_nsec; }

// The end of the next slice of a wait until `until`, by CLOCK_MONOTONIC.
timespec slice(std::int64_t until) {
  const std::int64_t left = until - wall();
  return to_timespec(read_clock(CLOCK_MONOTONIC) + (left < 0 ? 0 : left < kSlice ? left : kSlice));
}

// One slice of a wait until that instant of the wall clock; 0 also when it is not over yet.
int wait_slice(pthread_cond_t* cond, pthread_mutex_t* mutex, std::int64_t until) {
  const timespec end = slice(until);
  const int result = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &end);
  return result == ETIMEDOUT && wall() < until ? 0 : result;
}

// glibc keeps the clock that pthread_condattr_setclock chose in this bit.
bool is_monotonic(const pthread_cond_t* cond) { return (cond->__data.__wrefs & 2u) != 0; }

}  // namespace

extern "C" {

int clock_gettime(clockid_t id, timespec* t) noexcept {
  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
    *t = to_timespec(wall(id));
    return 0;
  }
  return static_cast<int>(syscall(SYS_clock_gettime, id, t));
}

int gettimeofday(timeval* t, void*) noexcept {
  const std::int64_t now = wall();
  *t = {now / kSecond, now % kSecond / 1000};
  return 0;
}

time_t time(time_t* t) noexcept {
  const time_t now = wall() / kSecond;
  if (t != nullptr) *t = now;
  return now;
}

int timespec_get(timespec* t, int base) noexcept {
  if (base != TIME_UTC) return 0;
  *t = to_timespec(wall());
  return base;
}

int pthread_cond_timedwait(pthread_cond_t* cond, pthread_mutex_t* mutex, const timespec* until) {
  if (is_monotonic(cond)) return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, until);
  return wait_slice(cond, mutex, from_timespec(*until));
}

int cnd_timedwait(cnd_t* cond, mtx_t* mutex, const timespec* until) {
  // In glibc the types of C11 are those of POSIX.
  const int result = wait_slice(reinterpret_cast<pthread_cond_t*>(cond), reinterpret_cast<pthread_mutex_t*>(mutex),
                                from_timespec(*until));
  return result == 0 ? thrd_success : result == ETIMEDOUT ? thrd_timedout : thrd_error;
}

int sem_timedwait(sem_t* sem, const timespec* until) {
  for (;;) {
    const timespec end = slice(from_timespec(*until));
    if (sem_clockwait(sem, CLOCK_MONOTONIC, &end) == 0) return 0;
    if (errno != ETIMEDOUT || wall() >= from_timespec(*until)) return -1;
  }
}

}  // extern "C"
