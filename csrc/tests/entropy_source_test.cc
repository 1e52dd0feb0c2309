// Stuffing taken out piece by piece, on every CPU level, against a slow pass over the whole.
#include "entropy_source.h"

#include <algorithm>

#include "check.h"
#include "cpu.h"
#include "jpeg_writer.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

struct Plain {
  Bytes bytes;               // without stuffing
  std::vector<size_t> from;  // where each of them stands in the file
  size_t end = 0;            // the marker, or the file's size
};

Plain slow_destuff(std::span<const uint8_t> file, size_t at) {
  Plain plain;
  while (at < file.size()) {
    size_t next = at;
    if (file[at] == 0xFF) {
      while (next < file.size() && file[next] == 0xFF) ++next;
      if (next == file.size() || file[next] != 0) break;  // a marker, or a lone FF at the end
    }
    plain.bytes.push_back(file[at]);
    plain.from.push_back(at);
    at = next + 1;
  }
  plain.end = at;
  return plain;
}

// Reads the whole interval as a kernel does, a few bytes at a time, and checks each on the way.
void check_interval(const Kernels& kernels, EntropySource& source, std::span<const uint8_t> file, size_t at, Random& random) {
  const Plain want = slow_destuff(file, at);
  source.start(kernels, file, at);
  size_t done = 0;
  for (;;) {
    if (source.position().at > source.stop()) source.more();
    const uint8_t* const p = source.position().at;
    const auto here = static_cast<size_t>(source.end() - p);
    REQUIRE(done + here <= want.bytes.size());
    CHECK(std::equal(p, source.end(), want.bytes.begin() + static_cast<ptrdiff_t>(done)));
    CHECK_EQ(source.bits_left(), 8 * static_cast<int64_t>(here));
    if (source.last()) CHECK_EQ(done + here, want.bytes.size());
    if (source.last()) CHECK_EQ(source.end_offset(), want.end);
    CHECK(!source.overrun());
    if (here != 0) CHECK_EQ(source.offset(), want.from[done]);
    if (source.last() && here == 0) break;
    // An MCU takes at most kMaxMcuBytes; most take a few bytes.
    const size_t step = std::min<size_t>(here, random.below(10) == 0 ? random.below(kMaxMcuBytes) : 1 + random.below(600));
    source.position().at += step;
    done += step;
  }
  // Behind the end there are zeros, for one whole MCU.
  CHECK(std::all_of(source.end(), source.end() + kMaxMcuBytes + 8, [](uint8_t b) { return b == 0; }));
  CHECK_EQ(source.offset(), want.end);
  source.position().at += 1;
  CHECK(source.overrun());
}

// Data with stuffing every few bytes, or hardly any, and an end of one kind or another.
Bytes data(Random& random, size_t size, uint32_t one_ff_in, const Bytes& end) {
  Bytes out;
  while (out.size() < size) {
    out.push_back(static_cast<uint8_t>(random.below(one_ff_in) == 0 ? 255 : random.below(255)));
    if (out.back() == 255) out.push_back(0);
  }
  out.insert(out.end(), end.begin(), end.end());
  return out;
}

const std::vector<Bytes> kEnds = {
    {}, {0xFF}, {0xFF, 0xFF, 0xFF}, {0xFF, 0xD9}, {0xFF, 0xFF, 0xD0, 1, 2}, {0xFF, 0xD3, 0xFF, 0x00, 7}};

void check_levels(const Bytes& file, size_t at, Random& random) {
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
    if (!supported(level)) continue;
    static EntropySource source;  // bytes of earlier data must not show
    // A copy that ends where the file ends, so that a sanitizer sees a byte read behind it.
    const Bytes exact(file);
    check_interval(kernels(level), source, exact, at, random);
  }
}

}  // namespace

TEST(short_data_of_every_length_and_end) {
  Random random(1);
  for (size_t size = 0; size < 140; ++size) {
    for (const Bytes& end : kEnds) {
      for (const uint32_t one_ff_in : {2u, 20u, 1000u}) check_levels(data(random, size, one_ff_in, end), 0, random);
    }
  }
}

TEST(long_data_comes_in_pieces) {
  Random random(2);
  for (const uint32_t one_ff_in : {1u, 2u, 5u, 40u, 3000u, 1000000u}) {
    for (const Bytes& end : kEnds) check_levels(data(random, 60000 + random.below(60000), one_ff_in, end), 0, random);
  }
}

TEST(a_piece_may_end_inside_stuffing) {
  // A piece ends 24 kB on: stuffing at each place around it.
  Random random(3);
  for (size_t at = (24 << 10) - 70; at < (24 << 10) + 70; ++at) {
    Bytes file(40000, 0x55);
    file[at] = 0xFF;
    file[at + 1] = 0;
    file[at + 20] = 0xFF;
    file[at + 21] = 0xD9;
    check_levels(file, 0, random);
    file.resize(at + 2);
    check_levels(file, 0, random);
    file.resize(at + 1);
    check_levels(file, 0, random);
  }
}

TEST(fill_bytes_before_stuffing_are_one_byte_of_data) {
  Random random(4);
  for (size_t fill = 1; fill < 80; ++fill) {
    for (const size_t before : {size_t{0}, size_t{7}, size_t{31}, size_t{32}, size_t{100}}) {
      Bytes file(before, 3);
      file.insert(file.end(), fill, 0xFF);
      file.insert(file.end(), {0, 5, 6, 0, 7, 0xFF, 0xD9});
      check_levels(file, 0, random);
    }
  }
}

TEST(an_interval_may_begin_anywhere) {
  Random random(5);
  const Bytes file = data(random, 500, 10, {0xFF, 0xD0, 1, 2, 3, 0xFF, 0xD9});
  for (size_t at = 0; at <= file.size(); ++at) {
    if (at > 0 && at < file.size() && file[at - 1] == 0xFF) continue;  // inside stuffing: nobody begins there
    check_levels(file, at, random);
  }
  EntropySource source;
  source.start(kernels(CpuLevel::kPortable), file, file.size() + 100);
  CHECK(source.last());
  CHECK_EQ(source.bits_left(), 0);
  CHECK_EQ(source.end_offset(), file.size());
}

TEST(offset_counts_a_byte_as_begun_with_its_first_bit) {
  const Bytes file = {1, 0xFF, 0, 2, 0xFF, 0, 3, 4, 5, 6, 7, 8, 0xFF, 0xD9};
  const size_t from[] = {0, 1, 3, 4, 6, 7, 8, 9, 10, 11};
  EntropySource source;
  for (size_t bits = 0; bits <= 80; ++bits) {
    source.start(kernels(CpuLevel::kPortable), file, 0);
    // As a kernel leaves it: whole bytes behind `at`, up to 63 bits of those before it not yet used.
    BitPosition& p = source.position();
    const size_t ahead = std::min<size_t>((bits + 56) / 8, 10);
    p.at += ahead;
    p.count = 8 * ahead - bits;
    CHECK_EQ(source.bits_left(), static_cast<int64_t>(80 - bits));
    CHECK_EQ(source.offset(), bits > 72 ? size_t{12} : from[(bits + 7) / 8]);
  }
}

TEST_MAIN()
