#include "ha-arbiter/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "ha-arbiter/resolver.h"

namespace bmpha::arbiter {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
struct FreeSession {
  void operator()(SSL* s) const { SSL_free(s); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, FreeContext>;

// The oldest error of the library's queue, which is the cause; empties the queue.
std::string library_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  const char* reason = ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  return ERR_SYSTEM_ERROR(code) ? std::strerror(static_cast<int>(ERR_GET_REASON(code))) : "unknown error";
}

// A key with a passphrase would be asked for on a terminal that nobody watches.
int no_passphrase(char*, int, int, void*) { return 0; }

using Stamp = std::vector<std::int64_t>;
Stamp stamp_of(const TlsSettings& s) {
  Stamp out;
  for (const std::string* path : {&s.ca, &s.cert, &s.key}) {
    struct stat status {};
    if (path->empty() || stat(path->c_str(), &status) != 0) continue;
    out.push_back(static_cast<std::int64_t>(status.st_ino));
    out.push_back(status.st_mtim.tv_sec);
    out.push_back(status.st_mtim.tv_nsec);
    out.push_back(status.st_size);
  }
  return out;
}

Status load_files(SSL_CTX* c, const TlsSettings& s) {
  const auto failed = [](const char* what, const std::string& path) {
    return Status::error(fmt::format("cannot load {} {}: {}", what, path, library_error()));
  };
  std::error_code ignored;
  if (s.ca.empty()) {
    if (SSL_CTX_set_default_verify_paths(c) != 1) return failed("the system's authorities", "");
  } else if (std::filesystem::is_directory(s.ca, ignored)) {
    if (SSL_CTX_load_verify_dir(c, s.ca.c_str()) != 1) return failed("redis-ca", s.ca);
  } else if (SSL_CTX_load_verify_file(c, s.ca.c_str()) != 1) {
    return failed("redis-ca", s.ca);
  }
  if (s.cert.empty()) return Status::ok();
  if (SSL_CTX_use_certificate_chain_file(c, s.cert.c_str()) != 1) return failed("redis-cert", s.cert);
  if (SSL_CTX_use_PrivateKey_file(c, s.key.c_str(), SSL_FILETYPE_PEM) != 1) return failed("redis-key", s.key);
  if (SSL_CTX_check_private_key(c) != 1) return failed("redis-key", s.key);
  return Status::ok();
}

Result<ContextPtr> make_context(const TlsSettings& s) {
  using R = Result<ContextPtr>;
  ERR_clear_error();
  ContextPtr c(SSL_CTX_new(TLS_client_method()));
  if (!c) return R::failure("no memory for TLS");
  SSL_CTX_set_min_proto_version(c.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(c.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(c.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(c.get(), SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_default_passwd_cb(c.get(), no_passphrase);
  if (Status loaded = load_files(c.get(), s); !loaded) return R::failure(loaded.message());
  return R(std::move(c));
}

// The certificate must be for this; a name is also told to the server, which may have several certificates.
bool expect_name(SSL* ssl, std::string name) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (name.empty()) return false;
  if (is_numeric_address(name)) return X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) == 1;
  // SSL_set_tlsext_host_name, whose macro has an old cast.
  return X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size()) == 1 &&
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) == 1;
}

}  // namespace

struct TlsContext::Impl {
  TlsSettings settings;
  ContextPtr context;
  Stamp stamp;
};

TlsContext::TlsContext() : impl_(std::make_unique<Impl>()) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::load(const TlsSettings& settings) {
  using R = Result<std::shared_ptr<TlsContext>>;
  const std::shared_ptr<TlsContext> made(new TlsContext);
  made->impl_->settings = settings;
  if (Status s = made->refresh(); !s) return R::failure(s.message());
  return R(made);
}

Status TlsContext::refresh() {
  Stamp now = stamp_of(impl_->settings);
  if (impl_->context && now == impl_->stamp) return Status::ok();
  Result<ContextPtr> made = make_context(impl_->settings);
  if (!made) return Status::error(made.error());
  impl_->context = std::move(made.value());
  impl_->stamp = std::move(now);
  return Status::ok();
}

struct TlsSession::Impl {
  std::unique_ptr<SSL, FreeSession> ssl;
  std::string name;
};

TlsSession::TlsSession(const TlsContext& context, int fd, const std::string& host) : impl_(std::make_unique<Impl>()) {
  const TlsContext::Impl& c = context.impl();
  impl_->name = c.settings.name.empty() ? host : c.settings.name;
  impl_->ssl.reset(SSL_new(c.context.get()));
  SSL* ssl = impl_->ssl.get();
  if (ssl == nullptr) return;
  if (!expect_name(ssl, impl_->name) || SSL_set_fd(ssl, fd) != 1) {
    impl_->ssl.reset();
    return;
  }
  SSL_set_connect_state(ssl);
}

TlsSession::~TlsSession() = default;

std::string TlsSession::describe() const {
  const long verified = SSL_get_verify_result(impl_->ssl.get());
  if (verified != X509_V_OK) {
    ERR_clear_error();
    const bool name = verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH;
    return fmt::format(
        "TLS: certificate not accepted: {}{}", X509_verify_cert_error_string(verified),
        name ? fmt::format(" HINT: it is not for {}; redis-tls-name says what it must be for", impl_->name)
             : " HINT: redis-ca must hold the authority that has signed it");
  }
  const std::string why = library_error();
  if (why == "wrong version number") return "TLS: the server does not speak it HINT: redis:// is without TLS";
  if (why.find("alert") != std::string::npos) return fmt::format("TLS: refused by the server: {}", why);
  return "TLS: " + why;
}

TlsSession::Step TlsSession::step(int result) {
  const int saved = errno;
  switch (SSL_get_error(impl_->ssl.get(), result)) {
    case SSL_ERROR_NONE:
      return Step::kDone;
    case SSL_ERROR_WANT_READ:
      return Step::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Step::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Step::kClosed;
    case SSL_ERROR_SYSCALL:
      if (saved == 0) return Step::kClosed;
      ERR_clear_error();
      error_ = std::strerror(saved);
      return Step::kFailed;
    default:
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        return Step::kClosed;
      }
      error_ = describe();
      return Step::kFailed;
  }
}

TlsSession::Step TlsSession::handshake() {
  if (!impl_->ssl) {
    error_ = "TLS: no session could be made";
    return Step::kFailed;
  }
  ERR_clear_error();
  errno = 0;
  return step(SSL_do_handshake(impl_->ssl.get()));
}

TlsSession::Step TlsSession::read(char* to, std::size_t most, std::size_t& got) {
  got = 0;
  ERR_clear_error();
  errno = 0;
  return step(SSL_read_ex(impl_->ssl.get(), to, most, &got));
}

TlsSession::Step TlsSession::write(const char* from, std::size_t size, std::size_t& put) {
  put = 0;
  ERR_clear_error();
  errno = 0;
  return step(SSL_write_ex(impl_->ssl.get(), from, size, &put));
}

}  // namespace bmpha::arbiter
