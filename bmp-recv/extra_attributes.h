// Attributes for which the contract has no column: they are decoded and printed once per UPDATE, into columns that
// stand behind all others of base_attribute and of every route object, and only in rows of UPDATEs that have at least
// one of them. Text forms: docs/wire.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "bmp-recv/text.h"

namespace bmpha::recv {

// In the order of the columns.
enum class ExtraColumn : std::uint8_t {
  kIpv6ExtCommunities,   // 25, RFC 5701
  kPmsiTunnel,           // 22, RFC 6514
  kTunnelEncapsulation,  // 23, RFC 9012
  kAigp,                 // 26, RFC 7311
  kPrefixSid,            // 40, RFC 8669, 9252
  kOtc,                  // 35, RFC 9234
  kAttrSet,              // 128, RFC 6368
  kBier,                 // 41, RFC 9793
  kOther,                // what is not decoded, as type, flags and bytes
  kCount,
};
inline constexpr std::size_t kExtraColumns = static_cast<std::size_t>(ExtraColumn::kCount);

// Names of the columns, in order.
std::span<const std::string_view> extra_column_names();

// The columns of one UPDATE; reused.
class ExtraAttributes {
 public:
  void clear();
  bool any() const { return any_; }
  // Bytes of append_columns().
  std::size_t bytes() const;
  // All columns, a TAB in front of each.
  void append_columns(TextBuffer& out) const;
  std::string_view column(ExtraColumn c) const { return text_[static_cast<std::size_t>(c)].view(); }

  // For who decodes: the buffer of a column that is going to have a value.
  TextBuffer& fill(ExtraColumn c) {
    any_ = true;
    return text_[static_cast<std::size_t>(c)];
  }

 private:
  std::array<TextBuffer, kExtraColumns> text_;
  bool any_ = false;
};

// Each decodes and prints a whole attribute value. False: malformed; what was appended is then not to be used.
[[nodiscard]] bool append_aigp(TextBuffer& out, Bytes value);
[[nodiscard]] bool append_otc(TextBuffer& out, Bytes value);
[[nodiscard]] bool append_bier(TextBuffer& out, Bytes value);
[[nodiscard]] bool append_attr_set(TextBuffer& out, Bytes value);
// "<type>:<flags>:<bytes>", the name in place of the type where it has one; one space between attributes.
void append_other(TextBuffer& out, std::uint8_t type, std::uint8_t flags, Bytes value);

}  // namespace bmpha::recv
