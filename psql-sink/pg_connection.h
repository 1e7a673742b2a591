// One connection to PostgreSQL, used by one thread. The only file pair that includes libpq. Nothing throws: a result
// says whether the statement worked, the connection broke, or the data were refused.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/outage.h"
#include "common/result.h"

namespace bmpha::sink {

// Borrowed text parameter; none is NULL.
using PgParam = std::optional<std::string>;

class PgResult {
 public:
  bool is_ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  // What the server or libpq said, one line.
  const std::string& error() const { return error_; }
  // Five characters, empty when the connection broke or nothing reached the server.
  const std::string& sqlstate() const { return sqlstate_; }
  int rows() const;
  bool is_null(int row, int column) const;
  std::string_view text(int row, int column) const;  // lives as long as this result
  std::int64_t number(int row, int column) const;    // 0 for NULL
  bool flag(int row, int column) const;
  std::int64_t affected() const;

 private:
  friend class PgConnection;
  struct Handle;
  bool ok_ = false;
  std::string error_, sqlstate_;
  std::shared_ptr<Handle> handle_;
};

class PgConnection {
 public:
  explicit PgConnection(std::string conninfo);
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  // Closes what was open. Blocks at most connect_timeout (5 s unless the settings say otherwise).
  Status connect();
  void close();
  // False once the connection broke; what the last statement did is unknown then.
  bool usable() const;

  PgResult exec(const std::string& sql);  // several statements: the last result
  PgResult exec(const std::string& sql, const std::vector<PgParam>& params);
  PgResult prepare(const std::string& name, const std::string& sql);
  PgResult exec_prepared(const std::string& name, const std::vector<PgParam>& params);
  // COPY ... FROM STDIN with all its data.
  PgResult copy_in(const std::string& sql, std::string_view data);
  int backend_pid() const;

  // Cuts a statement that runs in another thread. The connection is unusable then.
  void interrupt();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// For Options: what would be right, or empty.
std::string check_conninfo(const std::string& conninfo);
// For log lines: host, port and database without password.
std::string describe_conninfo(const std::string& conninfo);

// One line for an outage of the database and one for its end, for all connections of this process together. `since`:
// when the connection was opened, or the attempt began.
void say_unreachable(Outage& outage, const std::string& conninfo, const std::string& why, BootTime since);
void say_reachable(Outage& outage, const std::string& conninfo);

// "{1,2,NULL}" of numbers, as a text parameter for int4[] and int8[].
std::string array_literal(const std::vector<std::optional<std::int64_t>>& values);
// Microseconds since 1970 as text that timestamptz takes.
std::string timestamp_literal(std::int64_t unix_us);

}  // namespace bmpha::sink
