// Event loop, ZeroMQ wrapper, log quoting and back-off: small behaviours with real sockets.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "common/backoff.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/zmq_socket.h"

using namespace bmpha;

TEST_CASE("timers fire in order, repeat, and can cancel themselves") {
  EventLoop loop;
  std::string order;
  loop.after(Millis{20}, [&] { order += 'b'; });
  loop.after(Millis{5}, [&] { order += 'a'; });
  int ticks = 0;
  EventLoop::TimerId id = 0;
  id = loop.every(Millis{2}, [&] {
    if (++ticks == 3) loop.cancel(id);
  });
  loop.after(Millis{60}, [&] { loop.stop(); });
  loop.run();
  CHECK(order == "ab");
  CHECK(ticks == 3);
}

TEST_CASE("a blocked signal arrives in the loop") {
  block_signals({SIGUSR2});
  EventLoop loop;
  int seen = 0;
  loop.on_signals({SIGUSR2}, [&](int signo) {
    seen = signo;
    loop.stop();
  });
  loop.after(Millis{1}, [] { kill(getpid(), SIGUSR2); });
  loop.after(std::chrono::seconds(5), [&] { loop.stop(); });
  loop.run();
  CHECK(seen == SIGUSR2);
}

TEST_CASE("a router serves a dealer, zero-copy sends keep their owner alive until sent") {
  char directory[] = "/tmp/loop_test_XXXXXX";
  REQUIRE(mkdtemp(directory) != nullptr);
  const std::string endpoint = std::string("ipc://") + directory + "/s";
  {
    ZmqContext context;
    ZmqSocket router(context, SocketKind::kRouter, {.router_mandatory = true});
    ZmqSocket dealer(context, SocketKind::kDealer, {});
    REQUIRE(router.bind(endpoint).is_ok());
    REQUIRE(dealer.connect(endpoint).is_ok());
    REQUIRE(dealer.try_send(as_bytes("hello")) == ZmqSocket::Sent::kYes);
    Frame id, body, answer;
    for (int n = 0; n < 1000 && !router.try_recv(id); ++n) usleep(1000);
    REQUIRE(id.more());
    REQUIRE(router.try_recv(body));
    CHECK(std::string(body.bytes().begin(), body.bytes().end()) == "hello");
    auto owner = std::make_shared<std::string>(100000, 'z');
    const std::weak_ptr<std::string> watch = owner;
    REQUIRE(router.try_send(id.bytes(), true) == ZmqSocket::Sent::kYes);
    REQUIRE(router.try_send(as_bytes(*owner), owner) == ZmqSocket::Sent::kYes);
    owner.reset();
    for (int n = 0; n < 1000 && !dealer.try_recv(answer); ++n) usleep(1000);
    CHECK(answer.bytes().size() == 100000);
    answer = Frame();
    for (int n = 0; n < 1000 && !watch.expired(); ++n) usleep(1000);
    CHECK(watch.expired());
    CHECK(router.try_send(as_bytes("nobody"), true) == ZmqSocket::Sent::kUnreachable);
  }
  unlink((std::string(directory) + "/s").c_str());
  rmdir(directory);
}

TEST_CASE("a frame that was moved from can receive again, so that a drain loop may keep the newest") {
  ZmqContext context;
  ZmqSocket router(context, SocketKind::kRouter, {});
  ZmqSocket dealer(context, SocketKind::kDealer, {});
  REQUIRE(router.bind("inproc://drain").is_ok());
  REQUIRE(dealer.connect("inproc://drain").is_ok());
  for (const char* text : {"one", "two", "three"}) REQUIRE(dealer.try_send(as_bytes(text)) == ZmqSocket::Sent::kYes);
  Frame frame, newest;
  int frames = 0;
  while (router.try_recv(frame)) {
    newest = std::move(frame);
    ++frames;
  }
  CHECK(frames == 6);  // each message has the sender's identity in front
  CHECK(std::string(newest.bytes().begin(), newest.bytes().end()) == "three");
}

TEST_CASE("binding in a missing directory names the directory") {
  ZmqContext context;
  ZmqSocket socket(context, SocketKind::kPub, {});
  const Status s = socket.bind("ipc:///nonexistent-dir/x.sock");
  REQUIRE_FALSE(s.is_ok());
  CHECK(s.message().find("/nonexistent-dir does not exist") != std::string::npos);
}

TEST_CASE("values that would break a log line are quoted") {
  const std::pair<const char*, const char*> cases[] = {
      {"plain", "plain"}, {"", "\"\""}, {"two words", "\"two words\""}, {"a\nb", "\"a\\x0ab\""}, {"q\"", "\"q\\\"\""}};
  for (const auto& [value, expected] : cases) {
    std::string out;
    append_quoted(out, value);
    CHECK(out == expected);
  }
}

TEST_CASE("back-off grows to its bound and tells news from repetition") {
  Backoff b(Millis{100}, Millis{1000});
  Millis last{0};
  for (int n = 0; n < 10; ++n) last = b.next();
  CHECK(last >= Millis{1000});
  CHECK(last <= Millis{1250});
  CHECK(b.is_news("refused"));
  CHECK_FALSE(b.is_news("refused"));
  b.reset();
  CHECK(b.is_news("refused"));
  CHECK(b.next() <= Millis{125});
}
