// Bodies of BMP messages. Pure: bytes in, values out.
//
// A function that returns a Fault other than kNone says in the fault's comment (fault.h) whether what it filled in is
// to be used.
#pragma once

#include "bmp-recv/bmp_message.h"
#include "bmp-recv/fault.h"
#include "common/byte_reader.h"

namespace bmpha::recv {

// Consumes the 42 bytes of a per-peer header. False: cut short, nothing consumed.
[[nodiscard]] bool parse_peer_header(ByteReader& r, PeerHeader& out);

Fault parse_initiation(ByteReader r, Initiation& out);
Fault parse_termination(ByteReader r, Termination& out);
// The reader stands behind the per-peer header.
Fault parse_peer_up(ByteReader r, PeerUp& out);
Fault parse_peer_down(ByteReader r, PeerDown& out);
// In place of what out had.
Fault parse_statistics(ByteReader r, Statistics& out);
// Of version 4, in either of the forms that its revisions have.
Fault parse_statistics_tlvs(ByteReader r, Statistics& out);
Fault parse_mirroring(ByteReader r, Mirroring& out);
// Of version 4. Code points have changed from revision to revision of the draft: the BGP message is known by its
// marker, and its type tells the revision and so the types of the others. In place of what out had.
Fault parse_monitoring_tlvs(ByteReader r, MonitoringTlvs& out);

}  // namespace bmpha::recv
