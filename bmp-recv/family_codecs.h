// Which codec decodes which family. One set serves all sessions of the process (single-threaded).
#pragma once

#include <memory>
#include <vector>

#include "bmp-recv/family_codec.h"

namespace bmpha::recv {

class FamilyCodecs {
 public:
  FamilyCodecs();
  // Null: a family that is not decoded.
  FamilyCodec* find(const Family& family) const;

 private:
  struct Entry {
    Family family;
    FamilyCodec* codec = nullptr;
  };
  void add(std::unique_ptr<FamilyCodec> codec, std::initializer_list<Family> families);
  std::vector<std::unique_ptr<FamilyCodec>> codecs_;
  std::vector<Entry> entries_;
};

}  // namespace bmpha::recv
