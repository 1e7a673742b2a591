// Rows of the objects that are not routes (contract A5.1 to A5.4, and `eor` of docs/wire.md).
#pragma once

#include <string>

#include "bmp-recv/bgp_open.h"
#include "bmp-recv/bmp_message.h"
#include "bmp-recv/record_builder.h"

namespace bmpha::recv {

// The router as rows name it.
struct RouterText {
  std::string hash;  // 32 hex characters
  std::string ip;
};

// Stamp of a message: its own, or the time of receipt when that is zero or before 2000 (contract A3).
struct Stamp {
  std::int64_t seconds = 0;
  std::uint32_t micros = 0;
};
Stamp stamp_of(const PeerHeader& h, std::int64_t receipt_us);
Stamp stamp_of(std::int64_t wall_us);

std::string peer_ip_text(const PeerHeader& h);

struct PeerRow {
  std::uint64_t seq = 0;
  const PeerHeader& header;
  std::string_view peer_hash;
  const RouterText& router;
  Stamp stamp;
};
void append_peer_first(Rows& rows, const PeerRow& row);
// Null OPENs: malformed, their columns stay empty.
void append_peer_up(Rows& rows, const PeerRow& row, const PeerUp& up, const Open* sent, const Open* received);
void append_peer_down(Rows& rows, const PeerRow& row, const PeerDown& down);
// bmp_stat has a column for it.
bool fits_bmp_stat(const Statistic& statistic);
// The row of bmp_stat: types 0 to 8, zero for those that are absent.
void append_stat(Rows& rows, const PeerRow& row, const Statistics& statistics);
// A row of bmp_stat_ext: one statistic that bmp_stat has no column for.
void append_stat_ext(Rows& rows, const PeerRow& row, const Statistic& statistic);
void append_eor(Rows& rows, const PeerRow& row, const Family& family);
void append_router_init(Rows& rows, std::uint64_t seq, const RouterText& router, const Initiation& init, Stamp stamp);

struct CollectorRow {
  const char* action = "heartbeat";
  std::uint64_t seq = 0;
  std::string collector_id;
  std::string collector_hash;
  std::string routers;  // addresses, joined by comma and space
  std::size_t router_count = 0;
  Stamp stamp;
};
void append_collector(Rows& rows, const CollectorRow& row);

}  // namespace bmpha::recv
