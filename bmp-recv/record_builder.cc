#include "bmp-recv/record_builder.h"

#include <cassert>

namespace bmpha::recv {

std::unique_ptr<Rows> RowPool::take() {
  if (idle_.empty()) return std::make_unique<Rows>();
  std::unique_ptr<Rows> rows = std::move(idle_.back());
  idle_.pop_back();
  idle_bytes_ -= rows->text.capacity();
  return rows;
}

void RowPool::give(std::unique_ptr<Rows> rows) {
  if (idle_bytes_ + rows->text.capacity() > kMaxIdleBytes) return;
  idle_bytes_ += rows->text.capacity();
  rows->clear();
  idle_.push_back(std::move(rows));
}

RecordBuilder::RecordBuilder(const Identity& identity, RecordSink& sink)
    : identity_(identity),
      collector_line_("V: 1.7\nC_HASH_ID: " + to_hex(identity.collector) +
                      (identity.openbmp_hashes ? "\nHASH: openbmp\nT: " : "\nT: ")),
      sink_(sink) {}

void RecordBuilder::emit(const Meta& meta, const Rows& rows) {
  // collector_line_ has a fixed size below 80, an object's name and two numbers need less than the rest.
  char head[160];
  char* h = head;
  if (meta.object != nullptr) {
    h = put_text(h, collector_line_);
    h = put_text(h, meta.object);
    h = put_text(h, "\nL: ");
    h = put_number(h, rows.text.size());
    h = put_text(h, "\nR: ");
    h = put_number(h, rows.count);
    h = put_text(h, "\n\n");
  }
  const auto head_size = static_cast<std::size_t>(h - head);
  const std::size_t payload = head_size + rows.text.size();
  assert(payload <= kMaxPayload);
  Envelope e;
  e.kind = meta.kind;
  e.topic = meta.topic;
  e.in_dump = in_dump_;
  e.opener = meta.opener;
  e.session = identity_.session;
  e.seq = ++seq_;
  e.router = identity_.router;
  e.key = meta.key;
  e.read_time = times_.read;
  e.drained_time = times_.drained;
  e.read_wall_us = times_.wall_us;
  e.rows = rows.count;
  e.payload_size = static_cast<std::uint32_t>(payload);
  const std::size_t size = kEnvelopeSize + payload;
  auto data = std::make_shared_for_overwrite<std::uint8_t[]>(size);
  encode_envelope(e, data.get());
  char* at = reinterpret_cast<char*>(data.get()) + kEnvelopeSize;
  at = put_text(at, {head, head_size});
  put_text(at, rows.text.view());
  sink_.on_record({std::move(data), size, meta.kind, e.seq, times_.read});
}

}  // namespace bmpha::recv
