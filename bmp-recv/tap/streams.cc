#include "bmp-recv/tap/streams.h"

#include <fmt/format.h>

#include "bmp-recv/compat_hash.h"
#include "bmp-recv/fault.h"
#include "bmp-recv/framer.h"
#include "bmp-recv/tap/packet_file.h"
#include "bmp-recv/tap/tcp_streams.h"

namespace bmpha::recv {
namespace {

constexpr std::size_t kPiece = std::size_t{256} * 1024;

Status failed(const InputFile& file, const std::string& why) { return Status::error(file.name() + ": " + why); }

Status read_payload(InputFile& file, StreamSink& sink) {
  bool more = sink.open(1, {});
  while (more) {
    const Bytes data = file.peek(1);
    if (data.empty()) break;
    const Bytes piece = data.first(std::min(data.size(), kPiece));
    more = sink.data(1, piece, 0);
    file.consume(piece.size());
  }
  if (!file.failure().empty()) return failed(file, fmt::format("offset {}: {}", file.offset(), file.failure()));
  if (more) (void)sink.close(1);
  return Status::ok();
}

Status read_capture(InputFile& file, StreamSink& sink) {
  bool more = true;
  TcpStreams::Events events;
  events.open = [&](std::uint64_t stream, const std::string& source) { more = more && sink.open(stream, source); };
  events.data = [&](std::uint64_t stream, Bytes data, std::int64_t t) { more = more && sink.data(stream, data, t); };
  events.gap = [&](std::uint64_t stream) { more = more && sink.gap(stream); };
  events.close = [&](std::uint64_t stream) { more = more && sink.close(stream); };
  TcpStreams tcp(std::move(events));
  PacketFile packets(file);
  Packet packet;
  PacketFile::State state = PacketFile::State::kPacket;
  while (more && (state = packets.next(packet)) == PacketFile::State::kPacket) tcp.on_packet(packet);
  if (!more) return Status::ok();
  tcp.finish();
  if (state == PacketFile::State::kBroken) return failed(file, packets.error());
  const TcpStreams::Counters& c = tcp.counters();
  if (c.gaps != 0)
    return failed(file, fmt::format("{} gaps: at least {} bytes of BMP sessions are missing in the capture", c.gaps,
                                    c.missing_bytes));
  if (c.streams == 0)
    return failed(file,
                  fmt::format("none of {} packets belongs to a BMP session ({} not TCP, {} fragments, {} malformed)",
                              c.packets, c.not_tcp, c.fragments, c.malformed));
  return Status::ok();
}

}  // namespace

Status read_streams(InputFile& file, StreamSink& sink) {
  const Bytes start = file.peek(4);
  if (start.empty() && file.failure().empty()) return failed(file, "offset 0: the input is empty");
  return PacketFile::is_capture(start) ? read_capture(file, sink) : read_payload(file, sink);
}

// ---- decoding

class DecodingSink::Stream : public RecordSink {
 public:
  Stream(DecodingSink& owner, std::uint64_t number, const std::string& ip) : owner_(owner), number_(number) {
    SessionDecoder::Settings s;
    const std::string& id = owner.settings_.collector_id;
    const bool openbmp = owner.settings_.openbmp_hashes;
    const Hash128 collector = openbmp ? compat::collector_hash(id) : collector_hash(id);
    s.identity = {
        openbmp ? compat::router_hash(ip, to_hex(collector)) : router_hash(id, ip), {1, number}, collector, openbmp};
    s.router_ip = s.name = ip;
    decoder_ = std::make_unique<SessionDecoder>(std::move(s), owner.shared_, *this);
    decoder_->begin(times(0));
  }

  void on_record(const Record& record) override {
    if (is_session_mark(record.kind) || is_control(record.kind)) return;  // nothing of the router's
    const Bytes payload = record.bytes().subspan(kEnvelopeSize);
    (void)owner_.printer_.print({record.kind, {}, std::nullopt, {}},
                                {reinterpret_cast<const char*>(payload.data()), payload.size()},
                                owner_.output_.buffer());
    owner_.output_.wrote();
  }

  void take(Bytes data, std::int64_t time_us) {
    if (dead_) return;
    if (!rest_.empty()) {
      rest_.insert(rest_.end(), data.begin(), data.end());
      data = rest_;
    }
    decoder_->begin_pass(times(time_us));
    BmpFrame frame;
    FrameState state = next_frame(data, frame);
    while (state == FrameState::kFrame && owner_.go_on()) {
      decoder_->on_frame(frame, offset_);
      ++owner_.messages_;
      offset_ += frame.size;
      data = data.subspan(frame.size);
      state = next_frame(data, frame);
    }
    decoder_->end_pass();
    report_faults();
    dead_ = state != FrameState::kNeedMore && state != FrameState::kFrame;
    if (dead_) owner_.complain(number_, offset_, frame_error(state));
    const std::vector<std::uint8_t> rest(data.begin(), data.end());  // may lie in rest_ itself
    rest_ = rest;
  }

  void skip_gap() {
    offset_ += rest_.size();
    rest_.clear();
    dead_ = false;
  }

  void finish() {
    if (!dead_ && !rest_.empty() && owner_.go_on())
      owner_.complain(
          number_, offset_,
          fmt::format("the stream ends inside a message: {} of {} bytes are there", rest_.size(), frame_size(rest_)));
    decoder_->end(times(0));
  }

 private:
  static ReadTimes times(std::int64_t time_us) {
    const BootTime now = BootClock::now();
    return {now, now, time_us != 0 ? time_us : wall_us()};
  }
  void report_faults() {
    for (const SessionDecoder::FirstFault& f : decoder_->take_first_faults())
      fmt::print(stderr, "bmp-tap: {}: {}offset {}: bad message{}: {} (further ones of this kind are not shown)\n",
                 owner_.settings_.file, number_ == 1 ? "" : fmt::format("stream {}: ", number_), f.offset,
                 f.peer.empty() ? "" : " of peer " + f.peer, fault_name(f.fault));
  }

  DecodingSink& owner_;
  std::uint64_t number_;
  std::unique_ptr<SessionDecoder> decoder_;
  std::vector<std::uint8_t> rest_;  // the beginning of a message
  std::uint64_t offset_ = 0;
  bool dead_ = false;  // what follows cannot be read
};

DecodingSink::DecodingSink(Settings settings, RowPrinter& printer, Output& output)
    : settings_(std::move(settings)), printer_(printer), output_(output) {}
DecodingSink::~DecodingSink() = default;

void DecodingSink::complain(std::uint64_t stream, std::uint64_t offset, const std::string& why) {
  broken_ = true;
  output_.flush();  // what was read before stands first where both go to a terminal
  fmt::print(stderr, "bmp-tap: {}: {}offset {}: {}\n", settings_.file,
             stream == 1 ? "" : fmt::format("stream {}: ", stream), offset, why);
}

bool DecodingSink::open(std::uint64_t stream, const std::string& source) {
  streams_[stream] = std::make_unique<Stream>(*this, stream, source.empty() ? settings_.router_ip : source);
  return go_on();
}
bool DecodingSink::data(std::uint64_t stream, Bytes data, std::int64_t time_us) {
  if (const auto at = streams_.find(stream); at != streams_.end()) at->second->take(data, time_us);
  return go_on();
}
bool DecodingSink::gap(std::uint64_t stream) {
  if (const auto at = streams_.find(stream); at != streams_.end()) at->second->skip_gap();
  return go_on();
}
bool DecodingSink::close(std::uint64_t stream) {
  if (const auto at = streams_.find(stream); at != streams_.end()) {
    at->second->finish();
    streams_.erase(at);
  }
  return go_on();
}

// ---- relaying

bool RelayingSink::open(std::uint64_t stream, const std::string&) {
  Result<Relay> relay = Relay::connect(to_);
  if (!relay) {
    status_ = Status::error(relay.error());
    return false;
  }
  relays_.emplace(stream, std::move(relay.value()));
  return true;
}

bool RelayingSink::data(std::uint64_t stream, Bytes data, std::int64_t) {
  const auto at = relays_.find(stream);
  if (at == relays_.end()) return true;
  status_ = at->second.send(data);
  bytes_ += data.size();
  return status_.is_ok();
}

// In the middle of a message nothing can follow: the session ends, and what comes makes a new one.
bool RelayingSink::gap(std::uint64_t stream) { return close(stream) && open(stream, {}); }

bool RelayingSink::close(std::uint64_t stream) {
  const auto at = relays_.find(stream);
  if (at == relays_.end()) return true;
  if (at->second.finish(hold_)) status_ = Status::error(to_ + " has ended the session");
  relays_.erase(at);
  return status_.is_ok();
}

}  // namespace bmpha::recv
