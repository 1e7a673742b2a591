// Rows of BGP-LS: ls_node, ls_link, ls_prefix, ls_srv6_sid and ls_sr_policy.
#pragma once

#include "bmp-recv/family_codec.h"
#include "bmp-recv/ls_text.h"

namespace bmpha::recv {

// SAFI 71 and 72 of AFI 16388.
class LsCodec : public FamilyCodec {
 public:
  NlriResult parse(Bytes field, const NlriContext& context) override;
  void prepare(const PathAttributes& attributes) override { attribute_ = attributes.link_state; }
  // What the BGP-LS attribute says stands in every row; text is at most so much longer than bytes.
  std::size_t repeated_bytes() const override { return attribute_.size() * 8; }
  std::size_t size() const override { return routes_.size(); }
  std::size_t skipped() const override { return skipped_; }
  Object object(std::size_t n) const override;
  std::uint32_t path_id(std::size_t n) const override { return routes_[n].path_id; }
  void append_key(std::size_t n, std::vector<std::uint8_t>& out) const override { append_ls_key(routes_[n], out); }
  void append_related_key(std::size_t n, unsigned related, std::vector<std::uint8_t>& out) const override;
  bool openbmp_hash(std::size_t n, std::string_view peer_hex, std::string& scratch, Hash128& out) const override;
  bool openbmp_related_hash(std::size_t n, unsigned related, std::string& scratch, Hash128& out) const override;
  void print(std::size_t n, unsigned part, bool withdrawn, TextBuffer& out) const override;

 private:
  const LsNode& related_node(std::size_t n, unsigned related) const;
  bool parse_form(Bytes field, bool has_rd, bool path_ids);
  std::vector<LsRoute> routes_;
  std::size_t skipped_ = 0;
  Bytes attribute_;
};

}  // namespace bmpha::recv
