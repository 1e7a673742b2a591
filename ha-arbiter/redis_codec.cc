#include "ha-arbiter/redis_codec.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

namespace bmpha::arbiter {
namespace {

struct FreeReader {
  void operator()(redisReader* r) const { redisReaderFree(r); }
};
struct FreeReply {
  void operator()(redisReply* r) const { freeReplyObject(r); }
};

RedisReply convert(const redisReply& from) {
  RedisReply to;
  if (from.str != nullptr) to.text.assign(from.str, static_cast<std::size_t>(from.len));
  switch (from.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      to.type = RedisReply::Type::kText;
      break;
    case REDIS_REPLY_ERROR:
      to.type = RedisReply::Type::kError;
      break;
    case REDIS_REPLY_INTEGER:
      to.type = RedisReply::Type::kNumber;
      to.number = from.integer;
      break;
    case REDIS_REPLY_ARRAY:
      to.type = RedisReply::Type::kList;
      to.list.reserve(from.elements);
      for (std::size_t n = 0; n < from.elements; ++n) to.list.push_back(convert(*from.element[n]));
      break;
    default:
      break;
  }
  return to;
}

}  // namespace

std::string encode_command(const std::vector<std::string>& arguments) {
  std::string out = fmt::format("*{}\r\n", arguments.size());
  for (const std::string& a : arguments) {
    out += fmt::format("${}\r\n", a.size());
    out += a;
    out += "\r\n";
  }
  return out;
}

std::string without_arguments(const std::string& error) {
  return error.substr(0, error.find(", with args beginning with"));
}

struct RedisReader::Impl {
  std::unique_ptr<redisReader, FreeReader> reader{redisReaderCreate()};
};

RedisReader::RedisReader() : impl_(std::make_unique<Impl>()) {}
RedisReader::~RedisReader() = default;

void RedisReader::feed(const char* bytes, std::size_t size) {
  if (impl_->reader) redisReaderFeed(impl_->reader.get(), bytes, size);  // an error shows in next()
}

Result<std::optional<RedisReply>> RedisReader::next() {
  using R = Result<std::optional<RedisReply>>;
  if (!impl_->reader) return R::failure("no memory");
  void* raw = nullptr;
  if (redisReaderGetReply(impl_->reader.get(), &raw) != REDIS_OK)
    return R::failure(fmt::format("the answer is not Redis' protocol: {}", impl_->reader->errstr));
  const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(raw));
  if (!reply) return std::optional<RedisReply>();
  return std::optional<RedisReply>(convert(*reply));
}

}  // namespace bmpha::arbiter
