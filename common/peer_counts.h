// Numbers of BGP peers behind a list of rows, in link messages and tables: a block behind the end, which builds that do
// not know it ignore. One byte tells that it follows; then one number for each row, in the rows' order. It is left out
// when nothing is known, so that such a message has the bytes that it always had.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/byte_reader.h"
#include "common/byte_writer.h"

namespace bmpha {

inline constexpr std::uint8_t kPeerCountsTag = 0x50;  // 'P'
inline constexpr std::uint32_t kPeersNotSaid = UINT32_MAX;

template <class Rows>
void put_peer_counts(ByteWriter& w, const Rows& rows) {
  if (std::none_of(rows.begin(), rows.end(), [](const auto& row) { return row.peers_up.has_value(); })) return;
  w.u8(kPeerCountsTag);
  for (const auto& row : rows) w.u32(row.peers_up.value_or(kPeersNotSaid));
}

// Bytes that begin with another tag are somebody else's, and are left alone. False: the block is cut short.
template <class Rows>
bool get_peer_counts(ByteReader& r, Rows& rows) {
  std::uint8_t tag = 0;
  if (!r.u8(tag) || tag != kPeerCountsTag) return true;
  for (auto& row : rows) {
    std::uint32_t n = 0;
    if (!r.u32(n)) return false;
    if (n != kPeersNotSaid) row.peers_up = n;
  }
  return true;
}

}  // namespace bmpha
