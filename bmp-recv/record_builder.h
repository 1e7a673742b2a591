// Rows in, records out: collects the rows of one peer and one object from one socket read, and makes of them a record
// (common/record.h): envelope, OpenBMP headers, rows.
//
// One RowPool serves all sessions of the process (single-threaded); rows wait only inside one pass over one read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bmp-recv/text.h"
#include "common/record.h"

namespace bmpha::recv {

// A finished record: kEnvelopeSize bytes of envelope, then the payload.
struct Record {
  std::shared_ptr<const std::uint8_t[]> data;
  std::size_t size = 0;
  RecordKind kind{};
  std::uint64_t seq = 0;
  BootTime read_time;
  Bytes bytes() const { return {data.get(), size}; }
};

class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void on_record(const Record& record) = 0;
};

// Rows of one record under construction.
struct Rows {
  TextBuffer text;
  std::uint32_t count = 0;
  void clear() {
    text.clear();
    count = 0;
  }
};

// Reused row buffers.
class RowPool {
 public:
  std::unique_ptr<Rows> take();
  void give(std::unique_ptr<Rows> rows);

 private:
  // Enough for a read that touches some thousand peers with a few rows each, or a few dozen with many.
  static constexpr std::size_t kMaxIdleBytes = std::size_t{32} * 1024 * 1024;
  std::vector<std::unique_ptr<Rows>> idle_;
  std::size_t idle_bytes_ = 0;
};

// At this size rows become a record even inside a read.
inline constexpr std::size_t kFlushBytes = std::size_t{256} * 1024;
// A row is never larger: what an UPDATE of 64 KiB can say, with room to spare.
inline constexpr std::size_t kMaxRowBytes = kMaxPayload - kFlushBytes - 1024;

// The clocks of one socket read.
struct ReadTimes {
  BootTime read;
  BootTime drained;
  std::int64_t wall_us = 0;
};

class RecordBuilder {
 public:
  struct Identity {
    RouterId router;
    SessionId session;
    Hash128 collector;
    bool openbmp_hashes = false;  // payloads say so: the hash of attributes does not tell all of them apart
  };
  RecordBuilder(const Identity& identity, RecordSink& sink);

  void set_times(const ReadTimes& times) { times_ = times; }
  const ReadTimes& times() const { return times_; }
  // `in_dump` of the records from now on.
  void set_in_dump(bool in_dump) { in_dump_ = in_dump; }

  struct Meta {
    RecordKind kind{};
    TopicSelector topic = TopicSelector::kOther;
    const char* object = nullptr;  // the T header; null: no OpenBMP headers, the rows are the payload as they are
    Hash128 key;
    bool opener = false;
  };
  // Makes a record of the rows and hands it to the sink. The rows are left as they are.
  void emit(const Meta& meta, const Rows& rows);
  std::uint64_t last_seq() const { return seq_; }

 private:
  Identity identity_;
  std::string collector_line_;
  RecordSink& sink_;
  ReadTimes times_;
  bool in_dump_ = true;
  std::uint64_t seq_ = 0;
};

}  // namespace bmpha::recv
