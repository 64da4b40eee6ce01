// How the parts of an error message are written: as Python would print them.
#include "core/error.h"

#include <charconv>

namespace tessel {
namespace {

void append_number(std::string& message, auto value) {
  char digits[32];
  message.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// The shortest digits that read back as the same double; 3.0 keeps its point, as in Python.
void append_real(std::string& message, double value) {
  const size_t begin = message.size();
  append_number(message, value);
  if (message.find_first_not_of("-0123456789", begin) == std::string::npos) message += ".0";
}

void append_sizes(std::string& message, std::span<const int64_t> sizes) {
  message += '(';
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (i > 0) message += ", ";
    append_number(message, sizes[i]);
  }
  message += sizes.size() == 1 ? ",)" : ")";
}

}  // namespace

void Part::append_to(std::string& message) const {
  switch (kind_) {
    case Kind::text: message += text_; break;
    case Kind::integer: append_number(message, integer_); break;
    case Kind::natural: append_number(message, natural_); break;
    case Kind::real: append_real(message, real_); break;
    case Kind::sizes: append_sizes(message, sizes_); break;
  }
}

std::string join(std::initializer_list<Part> parts) {
  std::string message;
  for (const Part& part : parts) part.append_to(message);
  return message;
}

}  // namespace tessel
