#include "bmp-recv/name_cache.h"

#include <utility>

namespace bmpha::recv {

NameCache::Answer NameCache::look(const IpAddress& address, BootTime now) {
  auto at = entries_.find(address);
  if (at == entries_.end()) {
    if (settings_.limit == 0) return {};
    if (entries_.size() >= settings_.limit) {
      entries_.erase(wanted_.back());
      wanted_.pop_back();
    }
    wanted_.push_front(address);
    at = entries_.emplace(address, Entry()).first;
    at->second.place = wanted_.begin();
  } else {
    wanted_.splice(wanted_.begin(), wanted_, at->second.place);
  }
  Entry& e = at->second;
  Answer a{e.is_known, false, e.name};
  const bool is_wanted = !e.is_known || now >= e.until;
  if (!is_wanted || (e.is_asked && now - e.asked < settings_.patience)) return a;
  e.is_asked = true;
  e.asked = now;
  a.is_due = true;
  return a;
}

void NameCache::store(const IpAddress& address, std::string name, BootTime now) {
  const auto at = entries_.find(address);
  if (at == entries_.end()) return;
  Entry& e = at->second;
  e.until = now + (name.empty() ? settings_.ttl_without : settings_.ttl);
  e.name = std::move(name);
  e.is_known = true;
  e.is_asked = false;
}

}  // namespace bmpha::recv
