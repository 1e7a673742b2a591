// Names of addresses, as a name server tells them: what is known, for how long, and what is to be asked. Pure: it asks
// nobody itself, times are given.
//
// A name counts for its time to live; after that it is still told while it is asked for anew. That an address has no
// name is known for a shorter time. Beyond the limit the address that was wanted longest ago is forgotten.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <string>

#include "bmp-recv/tcp.h"
#include "common/clock.h"

namespace bmpha::recv {

class NameCache {
 public:
  struct Settings {
    Millis ttl{3600000};
    Millis ttl_without{300000};  // of an address without a name
    Millis patience{60000};      // a question without an answer is asked again after this
    std::size_t limit = 10000;
  };
  struct Answer {
    bool is_known = false;  // the name server has answered; an empty name: it has none
    bool is_due = false;    // the caller is to ask, once, and to call store()
    std::string name;
  };

  NameCache() : NameCache(Settings()) {}
  explicit NameCache(const Settings& settings) : settings_(settings) {}

  Answer look(const IpAddress& address, BootTime now);
  // An answer; an empty name: there is none. Of an address that was forgotten meanwhile it is dropped.
  void store(const IpAddress& address, std::string name, BootTime now);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    bool is_known = false;
    bool is_asked = false;
    BootTime asked, until;
    std::list<IpAddress>::iterator place;
  };
  Settings settings_;
  std::map<IpAddress, Entry> entries_;
  std::list<IpAddress> wanted_;  // the one that was wanted last stands first
};

}  // namespace bmpha::recv
