// A test framework of one page, for the tests of the core.
//
// A test file is one program:
//
//     #include "check.h"
//
//     TEST(two_and_two_is_four) {
//       CHECK(2 + 2 == 4);
//       CHECK_EQ(2 + 2, 4);           // prints both sides when they differ
//     }
//
//     TEST_MAIN()
//
// A failed CHECK is printed with file and line, counted, and the test goes on; REQUIRE ends the test instead (use it
// where what follows would read out of bounds). The program ends with 1 if any check failed and with 0 otherwise.
// `x_test NAME...` runs only the tests whose names contain one of the words.
//
// Every CHECK may be used from several threads at once.

#ifndef DCTLOAD_CSRC_TESTS_CHECK_H_
#define DCTLOAD_CSRC_TESTS_CHECK_H_

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace dctload::testing {

struct Case {
  const char* name;
  void (*run)();
};

// Thrown by REQUIRE, caught by the runner.
struct Abandoned {};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline std::atomic<int>& failures() {
  static std::atomic<int> count{0};
  return count;
}

inline bool add_case(const char* name, void (*run)()) {
  cases().push_back({name, run});
  return true;
}

// A value as text: numbers, enums and strings as one expects, sequences by their first 16 elements, anything else by
// its size.
template <typename T>
std::string show(const T& value) {
  std::ostringstream text;
  if constexpr (std::is_same_v<T, bool>) {
    text << (value ? "true" : "false");
  } else if constexpr (std::is_enum_v<T>) {
    text << static_cast<int64_t>(value);
  } else if constexpr (std::is_integral_v<T>) {
    text << +value;  // a uint8_t is a number here, not a letter
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    text << '"' << std::string_view(value) << '"';
  } else if constexpr (requires { text << value; }) {
    text << value;
  } else if constexpr (requires { value.begin() != value.end(); }) {
    text << "[";
    size_t count = 0;
    for (const auto& item : value) {
      if (count++ == 16) {
        text << ", ...";
        break;
      }
      text << (count > 1 ? ", " : "") << show(item);
    }
    text << "]";
  } else {
    text << "<" << sizeof(T) << " bytes>";
  }
  return text.str();
}

inline void fail(const char* file, int line, const std::string& what) {
  failures().fetch_add(1);
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

// Integers are compared by value whatever their signs; the rest with its own ==.
template <typename A, typename B>
bool equal(const A& a, const B& b) {
  constexpr bool numbers = std::is_integral_v<A> && std::is_integral_v<B> && !std::is_same_v<A, bool> && !std::is_same_v<B, bool>;
  if constexpr (numbers) {
    const bool a_negative = a < A{};
    const bool b_negative = b < B{};
    return a_negative == b_negative && static_cast<uint64_t>(a) == static_cast<uint64_t>(b);
  } else {
    return a == b;
  }
}

template <typename A, typename B>
bool check_equal(const A& a, const B& b, const char* a_text, const char* b_text, const char* file, int line) {
  if (equal(a, b)) return true;
  fail(file, line, std::string(a_text) + " is " + show(a) + ", not " + show(b) + " (" + b_text + ")");
  return false;
}

// Runs the tests that the words on the command line pick (all without words).
inline int run_all(std::span<char*> words) {
  int run = 0;
  int failed = 0;
  for (const Case& test : cases()) {
    bool wanted = words.empty();
    for (const char* word : words) wanted |= std::string_view(test.name).find(word) != std::string_view::npos;
    if (!wanted) continue;
    const int before = failures().load();
    try {
      test.run();
    } catch (const Abandoned&) {  // already counted
    } catch (const std::exception& error) {
      fail(test.name, 0, std::string("unexpected exception: ") + error.what());
    }
    ++run;
    if (failures().load() != before) {
      ++failed;
      std::fprintf(stderr, "FAILED %s\n", test.name);
    }
  }
  std::printf("%d tests, %d failed\n", run, failed);
  return failed == 0 && run > 0 ? 0 : 1;
}

}  // namespace dctload::testing

#define TEST(name)                                                                                         \
  static void test_##name();                                                                               \
  [[maybe_unused]] static const bool test_##name##_added = dctload::testing::add_case(#name, test_##name); \
  static void test_##name()

#define CHECK(condition)                                                                   \
  do {                                                                                     \
    if (!(condition)) dctload::testing::fail(__FILE__, __LINE__, "not true: " #condition); \
  } while (false)

#define CHECK_EQ(a, b) static_cast<void>(dctload::testing::check_equal((a), (b), #a, #b, __FILE__, __LINE__))

#define REQUIRE(condition)                                                 \
  do {                                                                     \
    if (!(condition)) {                                                    \
      dctload::testing::fail(__FILE__, __LINE__, "not true: " #condition); \
      throw dctload::testing::Abandoned{};                                 \
    }                                                                      \
  } while (false)

#define TEST_MAIN() \
  int main(int argc, char** argv) { return dctload::testing::run_all({argv + (argc > 0 ? 1 : 0), argv + argc}); }

#endif  // DCTLOAD_CSRC_TESTS_CHECK_H_
