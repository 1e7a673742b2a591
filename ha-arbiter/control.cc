#include "ha-arbiter/control.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "common/result.h"
#include "ha-arbiter/node_blob.h"

namespace bmpha::arbiter {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxRouterText = 512;
constexpr Millis kPatience{10'000};
constexpr std::uint64_t kLongestPatienceMs = 86'400'000;
// A month of Redis' clock: above what any clock that was wrong for a while has left in the sink.
constexpr std::uint64_t kEpochStep = 30ull * 86'400'000;

struct Request {
  std::string command;
  std::string router;
  std::optional<std::uint64_t> timeout_ms, above;
};

struct OrderName {
  const char* command;
  Order order;
};
constexpr OrderName kOrders[] = {{"give", Order::kGive},     {"take", Order::kTake},
                                 {"resync", Order::kResync}, {"reset-session", Order::kReset},
                                 {"forget", Order::kForget}, {"raise-epoch", Order::kRaise}};
struct CommandName {
  const char* command;
  Command what;
};
constexpr CommandName kCommands[] = {{"switch", Command::kRestamp},
                                     {"force-active", Command::kForceActive},
                                     {"force-standby", Command::kForceStandby},
                                     {"auto", Command::kAutomatic}};

std::string text_of(const Json& j) { return j.dump(-1, ' ', false, Json::error_handler_t::replace); }
ControlAnswer refused(const std::string& why) { return {text_of({{"ok", false}, {"error", why}}), false}; }

std::string take_text(const Json& value, std::string& out) {
  if (!value.is_string()) return "expected text";
  out = value.get<std::string>();
  return out.size() <= kMaxRouterText ? "" : "too long";
}
std::string take_number(const Json& value, std::optional<std::uint64_t>& out, std::uint64_t most) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
    return fmt::format("expected a whole number up to {}", most);
  out = value.get<std::uint64_t>();
  return {};
}

Result<Request> parse(std::string_view text) {
  using R = Result<Request>;
  if (text.size() > kMaxControlRequest) return R::failure("the request is too long");
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded() || !json.is_object()) return R::failure("the request is not a JSON object");
  Request r;
  for (const auto& [key, value] : json.items()) {
    std::string wrong;
    if (key == "command")
      wrong = take_text(value, r.command);
    else if (key == "router")
      wrong = take_text(value, r.router);
    else if (key == "timeout_ms")
      wrong = take_number(value, r.timeout_ms, kLongestPatienceMs);
    else if (key == "above")
      wrong = take_number(value, r.above, kMaxBelieved);
    else
      wrong = "no such key";
    if (!wrong.empty()) return R::failure(fmt::format("key \"{}\": {}", key, wrong));
  }
  if (r.command.empty()) return R::failure("key \"command\" is missing");
  return r;
}

// By id, or by a name that only one router has.
Result<RouterId> find_router(const Decider& d, const std::string& text) {
  using R = Result<RouterId>;
  if (text.empty()) return R::failure("key \"router\" is missing");
  RouterId id;
  if (from_hex(text, id) && d.routers().contains(id)) return id;
  std::vector<RouterId> found;
  for (const auto& [router, st] : d.routers())
    if (st.name == text) found.push_back(router);
  if (found.empty()) return R::failure(fmt::format("no router \"{}\" HINT: status lists them", text));
  if (found.size() > 1)
    return R::failure(fmt::format("{} routers have the name \"{}\" HINT: give the id", found.size(), text));
  return found.front();
}

ControlAnswer done(const RouterId& router) { return {text_of({{"ok", true}, {"router", to_hex(router)}}), true}; }

ControlAnswer raise_everywhere(Decider& d, BootTime now) {
  Json begun = Json::array();
  for (const auto& [id, st] : d.routers())
    if (d.order(Order::kRaise, id, kPatience, now).empty()) begun.push_back(to_hex(id));
  return {text_of({{"ok", true}, {"routers", std::move(begun)}}), true};
}

void raise_above(const Request& r, Decider& d, BootTime now) {
  const auto clock = static_cast<std::uint64_t>(std::max<std::int64_t>(d.redis_ms(now), 0));
  d.raise_epoch(r.above.value_or(std::max(clock, d.persisted().epoch) + kEpochStep));
}

ControlAnswer obey(const Request& r, Order order, Decider& d, BootTime now) {
  if (r.above && order != Order::kRaise) return refused("key \"above\" belongs to raise-epoch");
  if (order == Order::kRaise && r.router == "all") {
    raise_above(r, d, now);
    return raise_everywhere(d, now);
  }
  const auto router = find_router(d, r.router);
  if (!router) return refused(router.error());
  const Millis patience = r.timeout_ms ? Millis(static_cast<std::int64_t>(*r.timeout_ms)) : kPatience;
  if (const std::string why = d.order(order, router.value(), patience, now); !why.empty()) return refused(why);
  if (order == Order::kRaise) raise_above(r, d, now);
  return done(router.value());
}

}  // namespace

ControlAnswer answer_control(std::string_view request, Decider& d, const std::function<std::string()>& state,
                             BootTime now) {
  const auto parsed = parse(request);
  if (!parsed) return refused(parsed.error());
  const Request& r = parsed.value();
  for (const OrderName& o : kOrders)
    if (r.command == o.command) return obey(r, o.order, d, now);
  if (r.command == "cancel") {
    const auto router = find_router(d, r.router);
    if (!router) return refused(router.error());
    const std::string why = d.cancel(router.value(), now);
    return why.empty() ? done(router.value()) : refused(why);
  }
  if (!r.router.empty() || r.timeout_ms || r.above) return refused(fmt::format("{} takes no argument", r.command));
  if (r.command == "status") return {"{\"ok\":true,\"state\":" + state() + "}", false};
  for (const CommandName& c : kCommands) {
    if (r.command != c.command) continue;
    d.command(c.what, now);
    return {text_of({{"ok", true}}), true};
  }
  return refused(fmt::format("no such command: \"{}\"", r.command));
}

}  // namespace bmpha::arbiter
