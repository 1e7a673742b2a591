// BMP byte streams out of a file, whatever its form: recorded TCP payload, or a network capture.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "bmp-recv/relay.h"
#include "bmp-recv/session_decoder.h"
#include "bmp-recv/tap/input_file.h"
#include "bmp-recv/tap/output.h"
#include "bmp-recv/tap/row_printer.h"

namespace bmpha::recv {

// Where the bytes of streams go. Each function returns false when reading should stop.
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  // `source` is empty when the file does not say.
  virtual bool open(std::uint64_t stream, const std::string& source) = 0;
  // Nothing may be kept of data. time_us is 0 when the file does not say.
  virtual bool data(std::uint64_t stream, Bytes data, std::int64_t time_us) = 0;
  // Bytes are missing here; the next begin with a message.
  virtual bool gap(std::uint64_t stream) = 0;
  virtual bool close(std::uint64_t stream) = 0;
};

// Reads it all. Ok: to the end, or until the sink had enough. An error names file and offset.
Status read_streams(InputFile& file, StreamSink& sink);

// Decodes each stream as bmp-recv would and prints the rows.
class DecodingSink : public StreamSink {
 public:
  struct Settings {
    std::string file;          // for messages
    std::string collector_id;  // hashes depend on it
    std::string router_ip;     // of streams whose source is not known
    bool openbmp_hashes = false;
  };
  DecodingSink(Settings settings, RowPrinter& printer, Output& output);
  ~DecodingSink() override;
  bool open(std::uint64_t stream, const std::string& source) override;
  bool data(std::uint64_t stream, Bytes data, std::int64_t time_us) override;
  bool gap(std::uint64_t stream) override;
  bool close(std::uint64_t stream) override;
  // A stream was no BMP from some byte on, or ended inside a message. It was said on standard error.
  bool is_broken() const { return broken_; }
  std::uint64_t messages() const { return messages_; }

 private:
  class Stream;
  void complain(std::uint64_t stream, std::uint64_t offset, const std::string& why);
  bool go_on() const { return !printer_.is_done() && !output_.is_closed(); }

  Settings settings_;
  RowPrinter& printer_;
  Output& output_;
  DecoderShared shared_;
  std::map<std::uint64_t, std::unique_ptr<Stream>> streams_;
  std::uint64_t messages_ = 0;
  bool broken_ = false;
};

// Sends each stream to a collector, over a connection of its own, byte by byte as it was.
class RelayingSink : public StreamSink {
 public:
  RelayingSink(std::string to, Millis hold) : to_(std::move(to)), hold_(hold) {}
  bool open(std::uint64_t stream, const std::string& source) override;
  bool data(std::uint64_t stream, Bytes data, std::int64_t time_us) override;
  bool gap(std::uint64_t stream) override;
  bool close(std::uint64_t stream) override;
  // Why it stopped; ok: it did not.
  const Status& status() const { return status_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::string to_;
  Millis hold_;
  std::map<std::uint64_t, Relay> relays_;
  Status status_ = Status::ok();
  std::uint64_t bytes_ = 0;
};

}  // namespace bmpha::recv
