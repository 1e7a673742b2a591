#include "psql-sink/writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"

namespace bmpha::sink {
namespace {

constexpr std::size_t kTakeRecords = 20000;
constexpr std::size_t kTakeBytes = 32U << 20;
constexpr std::size_t kBacklogRecords = 2000;
constexpr std::uint32_t kRefusalsBeforeCareful = 2;
constexpr std::int64_t kKeepDownUs = 86'400'000'000;  // rows of a peer that is down

// Errors that name the data: trying the same again cannot help.
bool is_data_error(const std::string& sqlstate) { return sqlstate.starts_with("22") || sqlstate.starts_with("54"); }

InputRecord input(const KafkaMessage& m) {
  return {m.offset, m.time_us, m.has_header, m.header, m.copied.empty() ? m.value : m.copied, m.hole_from};
}

void add(BatchCounts& a, const BatchCounts& b) {
  a.records += b.records;
  a.rows += b.rows;
  a.fenced += b.fenced;
  a.foreign += b.foreign;
  a.rejected += b.rejected;
  a.replayed += b.replayed;
  a.attribute_rows += b.attribute_rows;
  a.unsupported += b.unsupported;
  a.attribute_hits += b.attribute_hits;
  a.attribute_misses += b.attribute_misses;
}

}  // namespace

Writer::Writer(WriterConfig config, Watermarks watermarks, std::function<void()> notify, OnceLog& once, Outage& outage)
    : config_(std::move(config)),
      watermarks_(std::move(watermarks)),
      notify_(std::move(notify)),
      once_(once),
      outage_(outage),
      ingest_(config_.database, config_.group),
      attributes_(config_.attribute_cache),
      next_sweep_(BootClock::now() + config_.sweep_interval),
      thread_([this] { run(); }) {}

Writer::~Writer() { stop(Millis{0}); }

void Writer::assign(const Partition& partition, std::uint64_t assignment) {
  auto slot = std::make_shared<Slot>();
  slot->partition = partition;
  slot->assignment = assignment;
  slot->seeking = true;
  const std::lock_guard lock(mutex_);
  slots_[partition] = std::move(slot);
  wake_.notify_one();
}

void Writer::revoke(const Partition& partition, Millis patience) {
  std::unique_lock lock(mutex_);
  const auto at = slots_.find(partition);
  if (at == slots_.end()) return;
  const SlotPtr slot = at->second;
  slot->revoked = true;
  slots_.erase(at);
  idle_.wait_for(lock, patience, [&] { return busy_ != slot.get(); });
}

void Writer::push(const Partition& partition, KafkaMessage message) {
  const std::lock_guard lock(mutex_);
  const auto at = slots_.find(partition);
  if (at == slots_.end()) return;
  Slot& slot = *at->second;
  slot.bytes += message.bytes();
  slot.queue.push_back(std::move(message));
  if (slot.queue.size() == 1) wake_.notify_one();
}

void Writer::reload(const Partition& partition) {
  const std::lock_guard lock(mutex_);
  const auto at = slots_.find(partition);
  if (at == slots_.end()) return;
  at->second->loaded = false;
  at->second->seeking = true;
  wake_.notify_one();
}

Writer::Queued Writer::queued(const Partition& partition) const {
  const std::lock_guard lock(mutex_);
  const auto at = slots_.find(partition);
  return at == slots_.end() ? Queued{} : Queued{at->second->queue.size(), at->second->bytes};
}

std::vector<WriterEvent> Writer::take_events() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

WriterStats Writer::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

std::size_t Writer::partitions() const {
  const std::lock_guard lock(mutex_);
  return slots_.size();
}

void Writer::stop(Millis patience) {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
    if (!idle_.wait_for(lock, patience, [this] { return !running_; })) ingest_.connection().interrupt();
  }
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  slots_.clear();
}

void Writer::post(const Slot& slot, WriterEvent::Kind kind, std::int64_t offset) {
  {
    const std::lock_guard lock(mutex_);
    events_.push_back({kind, slot.partition, slot.assignment, offset});
  }
  notify_();
}

bool Writer::has_work(const Slot& slot, BootTime now) const {
  return slot.not_before <= now && (!slot.loaded || !slot.queue.empty());
}

// The next partition in turn that has something to do; none when stopping or when it is time to sweep.
Writer::SlotPtr Writer::next_work(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    if (stopping_) return nullptr;
    const BootTime now = BootClock::now();
    if (now >= next_sweep_) return nullptr;
    BootTime wake_at = next_sweep_;
    auto at = slots_.upper_bound(last_);
    for (std::size_t n = 0; n < slots_.size(); ++n, ++at) {
      if (at == slots_.end()) at = slots_.begin();
      const Slot& slot = *at->second;
      if (has_work(slot, now)) {
        last_ = at->first;
        return at->second;
      }
      if (slot.not_before > now && (!slot.loaded || !slot.queue.empty())) wake_at = std::min(wake_at, slot.not_before);
    }
    wake_.wait_for(lock, std::min<Nanos>(wake_at - now, std::chrono::seconds(1)));
  }
}

void Writer::wait(Millis delay) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, delay, [this] { return stopping_; });
}

void Writer::run() {
  for (;;) {
    SlotPtr slot;
    bool loaded = false;
    {
      std::unique_lock lock(mutex_);
      busy_ = nullptr;
      idle_.notify_all();
      slot = next_work(lock);
      if (stopping_) break;
      busy_ = slot.get();
      loaded = slot && slot->loaded;
    }
    if (!ensure_connected()) continue;
    if (!slot) {
      sweep();
    } else if (!loaded) {
      load(slot);
    } else {
      flush(slot);
    }
  }
  const std::lock_guard lock(mutex_);
  running_ = false;
  idle_.notify_all();
}

bool Writer::ensure_connected() {
  if (ingest_.usable()) return true;
  {
    // Nobody needs to wait for a batch that cannot be written now.
    const std::lock_guard lock(mutex_);
    busy_ = nullptr;
    idle_.notify_all();
  }
  const BootTime began = BootClock::now();
  const Status s = ingest_.open();
  if (s) {
    say_reachable(outage_, config_.database);
    reconnect_.reset();
    connected_at_ = BootClock::now();
    const std::lock_guard lock(mutex_);
    stats_.connected = true;
    return true;
  }
  ingest_.close();
  say_unreachable(outage_, config_.database, s.message(), began);
  wait(reconnect_.next());
  return false;
}

void Writer::lost_connection(const std::string& why) {
  ingest_.close();
  attributes_.clear();
  const std::lock_guard lock(mutex_);
  if (!stopping_) say_unreachable(outage_, config_.database, why, connected_at_);  // else stop() cut it off
  // Every partition starts again from what the database really has.
  for (auto& [partition, slot] : slots_) slot->loaded = false;
  stats_.connected = false;
  ++stats_.database_failures;
}

void Writer::retry_later(Slot& slot, const std::string& what, const std::string& why) {
  const Millis delay = slot.backoff.next();
  if (slot.backoff.is_news(what + why))
    log_warn(what, kv("topic", slot.partition.topic), kv("partition", slot.partition.number), kv("error", why));
  const std::lock_guard lock(mutex_);
  slot.loaded = false;
  slot.not_before = BootClock::now() + delay;
}

void Writer::load(const SlotPtr& slot) {
  Result<LoadedPartition> r = ingest_.load(slot->partition);
  if (!r) {
    if (!ingest_.usable()) return lost_connection(r.error());
    return retry_later(*slot, "cannot load partition", r.error());
  }
  LoadedPartition& loaded = r.value();
  if (!position(slot, loaded)) return;
  slot->state = std::move(loaded.state);
  slot->next_offset = loaded.next_offset;
  bool seek = false;
  {
    const std::lock_guard lock(mutex_);
    auto& queue = slot->queue;
    while (!queue.empty() && queue.front().offset < slot->next_offset) {
      slot->bytes -= queue.front().bytes();
      queue.pop_front();
    }
    // After a lost connection the queue usually goes on where the database stands.
    seek = slot->seeking || queue.empty() || queue.front().offset != slot->next_offset;
    if (seek) {
      queue.clear();
      slot->bytes = 0;
    }
    slot->seeking = seek;
    slot->loaded = true;
  }
  if (seek) post(*slot, WriterEvent::Kind::kSeek, slot->next_offset);
}

// Where to go on; a position that the log does not have is never jumped silently.
bool Writer::position(const SlotPtr& slot, LoadedPartition& loaded) {
  const Partition& p = slot->partition;
  const std::optional<OffsetRange> range = watermarks_(p);
  if (!range) {
    retry_later(*slot, "broker does not tell the partition's range, retrying", "no answer");
    return false;
  }
  const std::int64_t stored = loaded.next_offset;
  if (stored >= range->low && stored <= range->high) return true;
  Status done = Status::ok();
  if (stored < 0 && range->low == 0) {
    done = ingest_.begin_partition(p, 0);
    loaded.next_offset = 0;
    if (done) return true;
  } else {
    const bool replaced = stored > range->high;
    log_error("records are missing from the log: peers of this partition stay incomplete until their next full dump",
              kv("topic", p.topic), kv("partition", p.number), kv("stored_offset", stored),
              kv("log_begins", range->low), kv("log_ends", range->high),
              kv("hint", replaced ? "the topic was recreated, or the cluster replaced"
                                  : "the topic's retention passed before the sink had read them"));
    done = ingest_.jump(p, std::max<std::int64_t>(stored, 0), range->low, replaced);
    if (done) {
      const std::lock_guard lock(mutex_);
      ++stats_.gaps;
      slot->seeking = true;
      return false;  // loaded again: peers have changed
    }
  }
  if (!ingest_.usable()) {
    lost_connection(done.message());
  } else {
    retry_later(*slot, "cannot store the partition's position", done.message());
  }
  return false;
}

Writer::Taken Writer::take(Slot& slot) {
  Taken t;
  const std::lock_guard lock(mutex_);
  std::int64_t wanted = slot.next_offset;
  while (!slot.queue.empty()) {
    const KafkaMessage& m = slot.queue.front();
    if (m.offset == wanted || m.hole_from == wanted) break;
    slot.bytes -= m.bytes();  // from before a seek
    slot.queue.pop_front();
  }
  if (!slot.queue.empty()) slot.seeking = false;
  std::size_t busy = 0, bytes = 0;
  for (const auto& [partition, other] : slots_) busy += other->queue.empty() ? 0U : 1U;
  t.cap = busy <= 1 && slot.queue.size() > kBacklogRecords ? config_.bulk_rows : config_.batch_rows;
  const std::size_t most = slot.next_offset < slot.careful_until ? 1 : kTakeRecords;
  // References to a deque's elements survive push_back, and only this thread takes out.
  for (const KafkaMessage& m : slot.queue) {
    if (t.messages.size() >= most || bytes > kTakeBytes) break;
    if (m.offset != wanted && m.hole_from != wanted) break;
    t.messages.push_back(&m);
    bytes += m.bytes();
    wanted = m.offset + 1;
  }
  return t;
}

void Writer::flush(const SlotPtr& slot) {
  const BootTime began = BootClock::now();
  if (config_.linger > Millis{0} && queued(slot->partition).records < kBacklogRecords) wait(config_.linger);
  const Taken taken = take(*slot);
  if (taken.messages.empty()) {
    const std::lock_guard lock(mutex_);
    if (!slot->seeking && !slot->queue.empty()) slot->loaded = false;
    return;
  }
  BatchBuilder builder(slot->state, attributes_, slot->next_offset, wall_us());
  std::size_t used = 0;
  const bool careful = slot->next_offset < slot->careful_until;
  for (const KafkaMessage* m : taken.messages) {
    ++used;
    if (careful && slot->refusals > kRefusalsBeforeCareful) {
      builder.set_aside(input(*m), "the database refused it: " + slot->refused_why);
      break;
    }
    if (!m->has_header && once_.first("foreign " + slot->partition.topic))
      log_warn("records without bmpha header are skipped", kv("topic", slot->partition.topic),
               kv("partition", slot->partition.number), kv("offset", m->offset));
    if (builder.add(input(*m)) || builder.rows() >= taken.cap) break;
  }
  for (const std::string& what : builder.skipped())
    if (once_.first("skipped " + what)) log_info("objects of this kind are not stored", kv("object", what));
  Batch batch = builder.finish();
  const FlushResult result = ingest_.flush(slot->partition, batch, slot->state);
  if (result.outcome == Outcome::kCommitted) {
    committed(slot, batch, result, used, began);
  } else {
    failed(slot, result, used);
  }
}

void Writer::committed(const SlotPtr& slot, const Batch& batch, const FlushResult& result, std::size_t records,
                       BootTime began) {
  slot->next_offset = batch.new_offset;
  slot->backoff.reset();
  slot->refusals = 0;
  watch_fences(*slot, batch);
  dead_rows_ += batch.peer_updates.size();
  for (const RouteEvent& e : batch.routes) dead_rows_ += e.last && e.withdrawn ? 1 : 0;
  const std::int64_t now = wall_us();
  const std::int64_t took = std::chrono::duration_cast<Micros>(BootClock::now() - began).count();
  std::vector<KafkaMessage> done;  // destroyed outside the lock
  done.reserve(records);
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t n = 0; n < records; ++n) {
      slot->bytes -= slot->queue.front().bytes();
      done.push_back(std::move(slot->queue.front()));
      slot->queue.pop_front();
    }
    add(stats_.counts, batch.counts);
    ++stats_.batches;
    stats_.history_rows += result.history_rows;
    stats_.gaps += batch.holes.size();
    stats_.attributes_known = attributes_.size();
    stats_.batch_time.add(took);
    for (const std::int64_t t : batch.read_times_us) stats_.commit_latency.add(now - t);
  }
  post(*slot, WriterEvent::Kind::kCommitted, batch.new_offset);
}

void Writer::failed(const SlotPtr& slot, const FlushResult& result, std::size_t records) {
  attributes_.clear();  // sets of this batch may not be stored
  if (result.outcome == Outcome::kUnreachable) return lost_connection(result.message);
  if (result.outcome == Outcome::kFenced) {
    // Another sink has written to this partition: it has it, or had it until now. The stored state decides.
    log_info("partition was written by another sink, loading its state again", kv("topic", slot->partition.topic),
             kv("partition", slot->partition.number), kv("detail", result.message));
    const std::lock_guard lock(mutex_);
    slot->loaded = false;
    ++stats_.fenced_batches;
    return;
  }
  if (is_data_error(result.sqlstate)) {
    ++slot->refusals;
    slot->refused_why = result.message;
    if (records == 1) {
      slot->careful_until = std::max(slot->careful_until, slot->next_offset + 1);
    } else if (slot->refusals >= kRefusalsBeforeCareful) {
      slot->refusals = 0;
      slot->careful_until = slot->next_offset + static_cast<std::int64_t>(records);
    }
  }
  {
    const std::lock_guard lock(mutex_);
    ++stats_.database_failures;
  }
  retry_later(*slot, "database refused a batch, retrying", result.message);
}

void Writer::watch_fences(Slot& slot, const Batch& batch) {
  for (const RouterId& r : batch.accepted_routers)
    if (const auto lasted = slot.fences.accepted(r, BootClock::now()))
      log_info("records of a router pass the fence again", kv("router", to_hex(r)), kv("topic", slot.partition.topic),
               kv("partition", slot.partition.number), kv("seconds", seconds_of(*lasted)));
  for (const auto& [router, node] : batch.fenced_routers) {
    if (batch.accepted_routers.contains(router)) continue;
    if (slot.fences.fenced(router, BootClock::now()))
      log_error(
          "all records of a router are fenced: its owner's epoch is below one that was seen before",
          kv("router", to_hex(router)), kv("node", node), kv("topic", slot.partition.topic),
          kv("partition", slot.partition.number),
          kv("hint", "bmp-ha epoch raise on that node, then bmp-ha resync: what was fenced is not in the database"));
  }
  const std::lock_guard lock(mutex_);
  stats_.fence_alarm = false;
  for (const auto& [partition, s] : slots_) stats_.fence_alarm = stats_.fence_alarm || s->fences.alarmed();
}

void Writer::sweep() {
  std::vector<std::pair<Partition, std::int64_t>> held;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [partition, slot] : slots_)
      if (slot->loaded) held.emplace_back(partition, slot->next_offset);
  }
  const std::int64_t deleted = dead_rows_ == 0 ? 0 : ingest_.sweep(held, wall_us() - kKeepDownUs, config_.sweep_rows);
  const bool more = deleted == static_cast<std::int64_t>(config_.sweep_rows);
  if (deleted >= 0 && !more) dead_rows_ = 0;
  next_sweep_ = BootClock::now() + (more ? Millis{1000} : config_.sweep_interval);
  if (!ingest_.usable()) return lost_connection("sweep");
  if (deleted <= 0) return;
  const std::lock_guard lock(mutex_);
  stats_.swept += static_cast<std::uint64_t>(deleted);
}

}  // namespace bmpha::sink
