// TLS towards Redis and Sentinel: certificates are always verified, and so is the name in them. The only file pair of
// this tool that includes OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "common/result.h"

namespace bmpha::arbiter {

struct TlsSettings {
  std::string ca;    // file or directory with the authorities that are believed; empty: the system's
  std::string cert;  // our certificate, with its chain, and its key; empty: none is shown
  std::string key;
  std::string name;  // the name that certificates must have; empty: the host that is connected to
};

// Settings, loaded.
class TlsContext {
 public:
  static Result<std::shared_ptr<TlsContext>> load(const TlsSettings& settings);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Loads the files again when one of them has changed; what cannot be loaded leaves everything as it was.
  Status refresh();

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  TlsContext();
  std::unique_ptr<Impl> impl_;
};

// The client's end of one session over a connected, non-blocking socket.
class TlsSession {
 public:
  enum class Step {
    kDone,       // bytes moved, or the handshake has ended
    kWantRead,   // again when the socket is readable
    kWantWrite,  // again when the socket is writable
    kClosed,     // the other end has closed
    kFailed,     // error() says why
  };

  // host: what was asked for, a name or an address; the certificate must be for it unless the settings name another.
  TlsSession(const TlsContext& context, int fd, const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  Step handshake();
  Step read(char* to, std::size_t most, std::size_t& got);
  Step write(const char* from, std::size_t size, std::size_t& put);
  const std::string& error() const { return error_; }

 private:
  Step step(int result);
  std::string describe() const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::string error_;
};

}  // namespace bmpha::arbiter
