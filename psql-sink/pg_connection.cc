#include "psql-sink/pg_connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <mutex>

#include "common/log.h"
#include "psql-sink/sql_rules.h"

namespace bmpha::sink {
namespace {

struct ConnectionDeleter {
  void operator()(PGconn* c) const { PQfinish(c); }
};
struct OptionsDeleter {
  void operator()(PQconninfoOption* o) const { PQconninfoFree(o); }
};
struct MemoryDeleter {
  void operator()(char* p) const { PQfreemem(p); }
};

// libpq's messages have line feeds and may hold several lines.
std::string one_line(const char* text) {
  std::string s = text == nullptr ? "" : text;
  while (!s.empty() && (s.back() == '\n' || s.back() == ' ')) s.pop_back();
  std::replace_if(
      s.begin(), s.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return s;
}

std::vector<const char*> pointers(const std::vector<PgParam>& params) {
  std::vector<const char*> out;
  out.reserve(params.size());
  for (const PgParam& p : params) out.push_back(p ? p->c_str() : nullptr);
  return out;
}

void ignore_notice(void*, const PGresult*) {}

}  // namespace

struct PgResult::Handle {
  PGresult* result = nullptr;
  explicit Handle(PGresult* r) : result(r) {}
  ~Handle() { PQclear(result); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

int PgResult::rows() const { return handle_ ? PQntuples(handle_->result) : 0; }
bool PgResult::is_null(int row, int column) const { return PQgetisnull(handle_->result, row, column) != 0; }
std::string_view PgResult::text(int row, int column) const {
  return {PQgetvalue(handle_->result, row, column),
          static_cast<std::size_t>(PQgetlength(handle_->result, row, column))};
}
std::int64_t PgResult::number(int row, int column) const {
  std::int64_t v = 0;
  const std::string_view s = text(row, column);
  std::from_chars(s.data(), s.data() + s.size(), v);
  return v;
}
bool PgResult::flag(int row, int column) const { return text(row, column) == "t"; }
std::int64_t PgResult::affected() const {
  if (!handle_) return 0;
  std::int64_t v = 0;
  const std::string_view s = PQcmdTuples(handle_->result);
  std::from_chars(s.data(), s.data() + s.size(), v);
  return v;
}

struct PgConnection::Impl {
  std::string conninfo;
  std::unique_ptr<PGconn, ConnectionDeleter> conn;
  // The socket, for interrupt(): only ever shut down while it is this connection's.
  std::mutex socket_mutex;
  int socket = -1;

  void remember_socket(int fd) {
    const std::lock_guard lock(socket_mutex);
    socket = fd;
  }
  PgResult wrap(PGresult* raw) const {
    PgResult r;
    const ExecStatusType status = PQresultStatus(raw);
    r.ok_ = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN;
    if (!r.ok_) {
      const char* state = PQresultErrorField(raw, PG_DIAG_SQLSTATE);
      if (state != nullptr) r.sqlstate_ = state;
      r.error_ = one_line(raw != nullptr ? PQresultErrorMessage(raw) : PQerrorMessage(conn.get()));
      if (r.error_.empty()) r.error_ = one_line(PQerrorMessage(conn.get()));
    }
    r.handle_ = std::make_shared<PgResult::Handle>(raw);
    return r;
  }
  static PgResult no_connection() {
    PgResult r;
    r.error_ = "no connection";
    return r;
  }
};

PgConnection::PgConnection(std::string conninfo) : impl_(std::make_unique<Impl>()) {
  impl_->conninfo = std::move(conninfo);
}
PgConnection::~PgConnection() { close(); }

Status PgConnection::connect() {
  close();
  // Behind `dbname` stands what the user's settings cannot change, before it what they can.
  const char* const keys[] = {"connect_timeout",           "keepalives_idle",  "keepalives_interval",
                              "keepalives_count",          "tcp_user_timeout", "dbname",
                              "fallback_application_name", "client_encoding",  nullptr};
  const char* const values[] = {"5", "5", "2", "3", "15000", impl_->conninfo.c_str(), "psql-sink", "UTF8", nullptr};
  impl_->conn.reset(PQconnectdbParams(keys, values, 1));
  if (PQstatus(impl_->conn.get()) != CONNECTION_OK) {
    const std::string why = one_line(PQerrorMessage(impl_->conn.get()));
    impl_->conn.reset();
    return Status::error(why);
  }
  PQsetNoticeReceiver(impl_->conn.get(), ignore_notice, nullptr);
  impl_->remember_socket(PQsocket(impl_->conn.get()));
  return Status::ok();
}

void PgConnection::close() {
  impl_->remember_socket(-1);
  impl_->conn.reset();
}

bool PgConnection::usable() const { return impl_->conn && PQstatus(impl_->conn.get()) == CONNECTION_OK; }

PgResult PgConnection::exec(const std::string& sql) {
  if (!impl_->conn) return Impl::no_connection();
  return impl_->wrap(PQexec(impl_->conn.get(), in_force(sql, kSqlRules).c_str()));
}
PgResult PgConnection::exec(const std::string& sql, const std::vector<PgParam>& params) {
  if (!impl_->conn) return Impl::no_connection();
  const auto p = pointers(params);
  return impl_->wrap(PQexecParams(impl_->conn.get(), in_force(sql, kSqlRules).c_str(), static_cast<int>(p.size()),
                                  nullptr, p.data(), nullptr, nullptr, 0));
}
PgResult PgConnection::prepare(const std::string& name, const std::string& sql) {
  if (!impl_->conn) return Impl::no_connection();
  return impl_->wrap(PQprepare(impl_->conn.get(), name.c_str(), in_force(sql, kSqlRules).c_str(), 0, nullptr));
}
PgResult PgConnection::exec_prepared(const std::string& name, const std::vector<PgParam>& params) {
  if (!impl_->conn) return Impl::no_connection();
  const auto p = pointers(params);
  return impl_->wrap(
      PQexecPrepared(impl_->conn.get(), name.c_str(), static_cast<int>(p.size()), p.data(), nullptr, nullptr, 0));
}

PgResult PgConnection::copy_in(const std::string& sql, std::string_view data) {
  PgResult begun = exec(sql);
  if (!begun) return begun;
  constexpr std::size_t kChunk = 262144;
  bool sent = true;
  for (std::size_t at = 0; at < data.size() && sent; at += kChunk) {
    const std::size_t n = std::min(kChunk, data.size() - at);
    sent = PQputCopyData(impl_->conn.get(), data.data() + at, static_cast<int>(n)) == 1;
  }
  if (PQputCopyEnd(impl_->conn.get(), sent ? nullptr : "cannot send data") != 1) sent = false;
  PgResult done = impl_->wrap(PQgetResult(impl_->conn.get()));
  while (PGresult* more = PQgetResult(impl_->conn.get())) {
    const bool looping = PQresultStatus(more) == PGRES_COPY_IN;  // a broken connection would say so for ever
    PQclear(more);
    if (looping) break;
  }
  if (!sent) done.ok_ = false;
  return done;
}

int PgConnection::backend_pid() const { return impl_->conn ? PQbackendPID(impl_->conn.get()) : 0; }

void PgConnection::interrupt() {
  const std::lock_guard lock(impl_->socket_mutex);
  if (impl_->socket >= 0) shutdown(impl_->socket, SHUT_RDWR);
}

std::string check_conninfo(const std::string& conninfo) {
  char* raw = nullptr;
  const std::unique_ptr<PQconninfoOption, OptionsDeleter> parsed(PQconninfoParse(conninfo.c_str(), &raw));
  const std::unique_ptr<char, MemoryDeleter> message(raw);
  if (parsed) return {};
  return "expected a libpq connection string or URL: " + one_line(message.get());
}

std::string describe_conninfo(const std::string& conninfo) {
  const std::unique_ptr<PQconninfoOption, OptionsDeleter> parsed(PQconninfoParse(conninfo.c_str(), nullptr));
  std::string out;
  for (const PQconninfoOption* o = parsed.get(); o != nullptr && o->keyword != nullptr; ++o) {
    const std::string_view key = o->keyword;
    if (o->val == nullptr || (key != "host" && key != "hostaddr" && key != "port" && key != "dbname")) continue;
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", key, o->val);
  }
  return out.empty() ? "(default)" : out;
}

void say_unreachable(Outage& outage, const std::string& conninfo, const std::string& why, BootTime since) {
  if (outage.failed(since, BootClock::now()))
    log_warn("database unreachable, retrying", kv("database", describe_conninfo(conninfo)), kv("error", why));
}
void say_reachable(Outage& outage, const std::string& conninfo) {
  if (const auto away = outage.works(BootClock::now()))
    log_info("database reachable again", kv("database", describe_conninfo(conninfo)), kv("seconds", seconds_of(*away)));
}

std::string array_literal(const std::vector<std::optional<std::int64_t>>& values) {
  std::string out = "{";
  for (const auto& v : values) {
    if (out.size() > 1) out += ',';
    out += v ? fmt::format("{}", *v) : "NULL";
  }
  return out + "}";
}

std::string timestamp_literal(std::int64_t unix_us) {
  constexpr std::int64_t kDayUs = 86'400'000'000;
  const std::int64_t us = std::clamp<std::int64_t>(unix_us, 0, 253402300799LL * 1000000);
  // Civil date of a day number, years counted from March.
  const std::int64_t z = us / kDayUs + 719468;
  const std::int64_t era = z / 146097;
  const std::int64_t doe = z - era * 146097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const std::int64_t day = doy - (153 * mp + 2) / 5 + 1;
  const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
  const std::int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  const std::int64_t s = us % kDayUs / 1'000'000;
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00", year, month, day, s / 3600, s / 60 % 60, s % 60,
                     us % 1'000'000);
}

}  // namespace bmpha::sink
