// Histogram with a fixed relative error: eight buckets per power of two of microseconds.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace bmpha::sink {

class Latency {
 public:
  void add(std::int64_t us) {
    const std::uint64_t v = us < 8 ? 8 : static_cast<std::uint64_t>(us);
    const auto power = static_cast<std::size_t>(std::bit_width(v)) - 1;
    const std::size_t bucket = power * 8 + static_cast<std::size_t>((v >> (power - 3)) & 7);
    ++counts_[bucket < counts_.size() ? bucket : counts_.size() - 1];
    ++total_;
    if (us > 0) sum_us_ += static_cast<std::uint64_t>(us);
  }
  void merge(const Latency& other) {
    for (std::size_t n = 0; n < counts_.size(); ++n) counts_[n] += other.counts_[n];
    total_ += other.total_;
    sum_us_ += other.sum_us_;
  }
  // Upper bound of the bucket that holds the given share (0..1) of all values, in µs; 0 when there are none.
  std::int64_t quantile(double share) const {
    if (total_ == 0) return 0;
    const double wanted = share * static_cast<double>(total_);
    std::uint64_t seen = 0;
    for (std::size_t n = 0; n < counts_.size(); ++n) {
      seen += counts_[n];
      if (n >= 24 && seen > 0 && static_cast<double>(seen) >= wanted)  // below 8 µs no bucket is used
        return static_cast<std::int64_t>((8 + n % 8 + 1) << (n / 8 - 3));
    }
    return INT64_MAX;
  }
  std::uint64_t total() const { return total_; }
  std::uint64_t sum_us() const { return sum_us_; }
  // How many values are below 2^power µs; power 4 or more.
  std::uint64_t below_power(unsigned power) const {
    std::uint64_t n = 0;
    for (std::size_t bucket = 0; bucket < std::size_t{power} * 8; ++bucket) n += counts_[bucket];
    return n;
  }

 private:
  std::array<std::uint64_t, 512> counts_{};  // 64 powers of two, eight each
  std::uint64_t total_ = 0;
  std::uint64_t sum_us_ = 0;
};

}  // namespace bmpha::sink
