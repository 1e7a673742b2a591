// Values as PostgreSQL reads and prints them in text parameters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"

namespace bmpha::sink {

// PostgreSQL prints a uuid with dashes.
bool parse_uuid(std::string_view text, Hash128& out);
std::string uuid_array(const std::vector<Hash128>& hashes);

// "recv_inc:number", the first in hex; empty for no session. Anything else parses to no session.
std::string session_text(const SessionId& s);
SessionId parse_session(std::string_view text);

// A JSON string with its quotes.
std::string json_text(std::string_view s);

}  // namespace bmpha::sink
