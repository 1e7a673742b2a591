// TLS against a real redis-server, with authorities and certificates made here.
#include <poll.h>

#include <fstream>

#include "tests/unit/ha-arbiter/redis_server.h"

using namespace bmpha;
using namespace bmpha::arbiter;
using namespace bmpha::arbiter::test;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Certificates {
  TemporaryDirectory directory;
  std::string at(const std::string& name) const { return directory.path + "/" + name; }
  void run(const std::string& command) const {
    REQUIRE(std::system(("cd " + directory.path + " && " + command + " >/dev/null 2>&1").c_str()) == 0);
  }
  void authority(const std::string& name) const {
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=" + name +
        "' -addext basicConstraints=critical,CA:TRUE -keyout " + name + ".key -out " + name + ".crt");
  }
  void certificate(const std::string& name, const std::string& names, const std::string& authority,
                   const std::string& days = "2") const {
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=" + name + "' -keyout " + name +
        ".key -out " + name + ".csr");
    std::ofstream(at(name + ".ext")) << "subjectAltName=" << names << '\n';
    run("openssl x509 -req -in " + name + ".csr -CA " + authority + ".crt -CAkey " + authority +
        ".key -CAcreateserial -days " + days + " -extfile " + name + ".ext -out " + name + ".crt");
  }
};

struct TlsServer {
  std::uint16_t port = free_port();
  RedisServer redis;
  explicit TlsServer(const Certificates& c, const std::string& name = "server", const std::string& clients = "no")
      : redis({"--tls-port", std::to_string(port), "--tls-cert-file", c.at(name + ".crt"), "--tls-key-file",
               c.at(name + ".key"), "--tls-ca-cert-file", c.at("ca.crt"), "--tls-auth-clients", clients, "--bind",
               "127.0.0.1"}) {}
};

RedisSettings over_tls(std::uint16_t port, const std::string& ca) {
  RedisAddress a;
  a.tls = true;
  a.host = "127.0.0.1";
  a.port = port;
  RedisSettings s = settings_for(a);
  s.tls.ca = ca;
  s.timeout = Millis(500);
  return s;
}

}  // namespace

TEST_CASE("TLS: verified, with password, database and large values; wrong authority, name and time are refused") {
  if (!have_redis()) return;
  const Certificates c;
  c.authority("ca");
  c.authority("other");
  c.certificate("server", "IP:127.0.0.1,DNS:redis.test", "ca");
  const TlsServer server(c);
  CHECK(has(server.redis.cli("config set requirepass geheim"), "OK"));

  RedisSettings settings = over_tls(server.port, c.at("ca.crt"));
  settings.address.password = "geheim";
  settings.address.db = 3;
  Client right(settings);
  const std::string large(3'000'000, 'x');  // more than the socket and TLS take at once, both ways
  auto first = right.tick_until_ok({large, 0});
  REQUIRE(first);
  CHECK(value_of(first.value(), "a").ends_with(" " + large));
  auto second = right.tick({"y", 0});
  REQUIRE(second);
  CHECK(second.value().before.ends_with(" " + large));
  CHECK(server.redis.cli("--no-auth-warning -a geheim -n 3 exists bmpha:{c-1}:node:a").starts_with("1"));

  Client stranger(over_tls(server.port, c.at("other.crt")));
  CHECK(has(stranger.tick_until_failure("certificate"), "certificate not accepted"));
  Client system(over_tls(server.port, ""));
  CHECK(has(system.tick_until_failure("certificate"), "redis-ca"));

  // The name that is asked for must be in the certificate.
  settings.lookup = [](const std::string&) { return Result<Resolver::Addresses>(Resolver::Addresses{"127.0.0.1"}); };
  settings.address.host = "redis.test";
  CHECK(Client(settings).tick_until_ok());
  settings.address.host = "other.test";
  CHECK(has(Client(settings).tick_until_failure("certificate"), "hostname mismatch"));
  settings.tls.name = "redis.test";
  CHECK(Client(settings).tick_until_ok());
  settings.address.host = "127.0.0.1";
  settings.tls.name = "127.0.0.2";
  CHECK(has(Client(settings).tick_until_failure("certificate"), "IP address mismatch"));
}

TEST_CASE("TLS: a certificate whose time is over is refused") {
  if (!have_redis()) return;
  const Certificates c;
  c.authority("ca");
  c.certificate("server", "IP:127.0.0.1", "ca", "-1");
  const TlsServer server(c);
  CHECK(has(Client(over_tls(server.port, c.at("ca.crt"))).tick_until_failure("certificate"), "expired"));
}

TEST_CASE("TLS: a server that asks for a certificate gets ours, and refuses who has none or another authority's") {
  if (!have_redis()) return;
  const Certificates c;
  c.authority("ca");
  c.authority("other");
  c.certificate("server", "IP:127.0.0.1", "ca");
  c.certificate("node", "DNS:node", "ca");
  c.certificate("stranger", "DNS:node", "other");
  const TlsServer server(c, "server", "yes");
  RedisSettings settings = over_tls(server.port, c.at("ca.crt"));
  CHECK(has(Client(settings).tick_until_failure("TLS"), "refused by the server"));
  settings.tls.cert = c.at("stranger.crt");
  settings.tls.key = c.at("stranger.key");
  CHECK(has(Client(settings).tick_until_failure("TLS"), "refused by the server"));
  // Files that are replaced are taken at the next connection.
  Client renewed(settings);
  CHECK(!renewed.tick({"x", 0}));
  c.run("cp node.key stranger.key && cp node.crt stranger.crt");
  CHECK(renewed.tick_until_ok({"x", 0}));
  // While only one of them has been replaced, the old pair serves.
  c.run("cp ca.key stranger.key");
  CHECK(has(server.redis.cli("client kill type normal skipme yes"), ""));
  CHECK(renewed.tick_until_ok({"y", 0}));
}

TEST_CASE("TLS: files that do not fit") {
  const Certificates c;
  c.authority("ca");
  c.authority("other");
  c.run("openssl pkey -in ca.key -aes128 -passout pass:geheim -out locked.key");
  const auto load = [&](const std::string& ca, const std::string& cert, const std::string& key) {
    const auto loaded = TlsContext::load({ca, cert, key, {}});
    return loaded ? std::string() : loaded.error();
  };
  CHECK(load(c.at("ca.crt"), c.at("ca.crt"), c.at("ca.key")).empty());
  CHECK(load(c.directory.path, "", "").empty());
  CHECK(has(load(c.at("ca.key"), "", ""), "redis-ca"));
  CHECK(has(load(c.at("none"), "", ""), "redis-ca"));
  CHECK(has(load("", c.at("ca.key"), c.at("ca.key")), "redis-cert"));
  CHECK(has(load("", c.at("ca.crt"), c.at("other.key")), "redis-key"));
  CHECK(has(load("", c.at("ca.crt"), c.at("locked.key")), "redis-key"));  // and nobody is asked for its passphrase
}

TEST_CASE("TLS on one side only is told, both ways") {
  if (!have_redis()) return;
  const Certificates c;
  c.authority("ca");
  c.certificate("server", "IP:127.0.0.1", "ca");
  const TlsServer server(c);
  RedisSettings plain = over_tls(server.port, "");
  plain.address.tls = false;
  CHECK(has(Client(plain).tick_until_failure("HINT"), "rediss://"));

  const std::uint16_t port = free_port();
  const RedisServer without({"--port", std::to_string(port), "--bind", "127.0.0.1"});
  CHECK(has(Client(over_tls(port, c.at("ca.crt"))).tick_until_failure("TLS"), "TLS"));
}

TEST_CASE("TLS: a server that never answers the handshake is given up in time") {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(listener, 8) == 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  RedisSettings settings = over_tls(ntohs(address.sin_port), "");
  settings.timeout = Millis(200);
  Client a(settings);
  const BootTime begun = BootClock::now();
  CHECK(has(a.tick({"x", 0}).error(), "handshake"));
  CHECK(BootClock::now() - begun < Millis(400));
  // The attempt itself ends too, and another one follows.
  const int first = accept(listener, nullptr, nullptr);
  char byte[4096];
  a.pause(Millis(250));
  pollfd ended{first, POLLIN, 0};
  REQUIRE(read(first, byte, sizeof byte) > 0);  // its greeting
  CHECK(poll(&ended, 1, 0) == 1);
  CHECK(read(first, byte, sizeof byte) <= 0);
  (void)a.tick_until_failure("handshake");
  pollfd next{listener, POLLIN, 0};
  CHECK(poll(&next, 1, 0) == 1);
  close(first);
  close(listener);
}
