// Huffman tables against a decoder that goes bit by bit, as T.81 draws it: on random prefix codes, and on random bits, which
// reach what no coder writes (patterns that are no code, runs past the end of a block).
#include "huffman.h"

#include <algorithm>

#include "check.h"
#include "decode_both.h"
#include "jpeg_writer.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

// ------------------------------------------------------------------------------------------------- the slow decoder

struct SlowBits {
  std::span<const uint8_t> bytes;
  size_t at = 0;
  bool bad = false;  // a pattern was no code

  uint32_t next() {
    const size_t i = at++;
    return i / 8 < bytes.size() ? bytes[i / 8] >> (7 - i % 8) & 1u : 0;
  }
  uint32_t receive(uint32_t n) {
    uint32_t v = 0;
    while (n-- > 0) v = v << 1 | next();
    return v;
  }
  // F.2.2.3. What is no code takes 17 bits and is symbol 0.
  uint32_t symbol(const HuffmanSpec& spec) {
    uint32_t code = 0, first = 0, p = 0;
    for (uint32_t l = 1; l <= 16; ++l) {
      code = code << 1 | next();
      if (code - first < spec.counts[l]) return spec.symbols[p + code - first];
      p += spec.counts[l];
      first = (first + spec.counts[l]) << 1;
    }
    next();
    bad = true;
    return 0;
  }
  // F.2.2.1: RECEIVE and EXTEND.
  int value(uint32_t size) {
    const int v = static_cast<int>(receive(size));
    return size != 0 && v < 1 << (size - 1) ? v - (1 << size) + 1 : v;
  }
};

struct SlowImage {
  std::vector<Block> blocks;  // zigzag order
  int prediction = 0;
  uint32_t eob_run = 0;
};

void slow_sequential(SlowBits& bits, const HuffmanSpec& dc, const HuffmanSpec& ac, SlowImage& image) {  // F.2.2
  for (Block& block : image.blocks) {
    image.prediction += bits.value(bits.symbol(dc));
    block[0] = static_cast<int16_t>(image.prediction);
    for (uint32_t k = 1; k < 64;) {
      const uint32_t rs = bits.symbol(ac), run = rs >> 4, size = rs & 15;
      if (size == 0 && run != 15) break;
      k += run;
      if (size != 0) block[std::min(k, 63u)] = static_cast<int16_t>(bits.value(size));
      ++k;
    }
  }
}

void slow_ac_first(SlowBits& bits, const HuffmanSpec& ac, const Scan& scan, SlowImage& image) {  // G.1.2.2
  image.eob_run = 0;
  for (Block& block : image.blocks) {
    if (image.eob_run != 0) {
      --image.eob_run;
      continue;
    }
    for (uint32_t k = scan.ss; k <= scan.se; ++k) {
      const uint32_t rs = bits.symbol(ac), run = rs >> 4, size = rs & 15;
      if (size == 0 && run != 15) {
        image.eob_run = (1u << run) - 1 + bits.receive(run);
        break;
      }
      k += run;
      if (size != 0) block[std::min(k, 63u)] = static_cast<int16_t>(bits.value(size) * (1 << scan.al));
    }
  }
}

void slow_correct(SlowBits& bits, uint32_t al, int16_t& value) {
  if (bits.next() != 0 && (value >> al & 1) == 0) value = static_cast<int16_t>(value < 0 ? value - (1 << al) : value + (1 << al));
}

void slow_ac_refine(SlowBits& bits, const HuffmanSpec& ac, const Scan& scan, SlowImage& image) {  // G.1.2.3
  image.eob_run = 0;
  for (Block& block : image.blocks) {
    uint32_t k = scan.ss;
    for (; image.eob_run == 0 && k <= scan.se; ++k) {
      const uint32_t rs = bits.symbol(ac), size = rs & 15;
      uint32_t run = rs >> 4;
      if (size == 0 && run != 15) {
        image.eob_run = (1u << run) + bits.receive(run);
        break;
      }
      const int fresh = size == 0 ? 0 : (bits.next() != 0 ? 1 : -1) * (1 << scan.al);
      for (; k <= scan.se; ++k) {
        if (block[k] != 0) {
          slow_correct(bits, scan.al, block[k]);
        } else if (run-- == 0) {
          break;
        }
      }
      if (fresh != 0) block[std::min(k, 63u)] = static_cast<int16_t>(fresh);
    }
    if (image.eob_run == 0) continue;
    for (; k <= scan.se; ++k) {
      if (block[k] != 0) slow_correct(bits, scan.al, block[k]);
    }
    --image.eob_run;
  }
}

// ------------------------------------------------------------------------------------------------- codes and streams

std::vector<uint8_t> some_symbols(Random& random, uint32_t below, uint32_t count) {
  std::vector<uint8_t> all(below);
  for (uint32_t i = 0; i < below; ++i) all[i] = static_cast<uint8_t>(i);
  for (uint32_t i = below; i > 1; --i) std::swap(all[i - 1], all[random.below(i)]);
  all.resize(std::min(count, 255u));
  return all;
}

// A code that leaves out the pattern of ones alone: by splitting leaves of a tree.
HuffmanSpec full_table(Random& random, const std::vector<uint8_t>& symbols) {
  HuffmanSpec spec;
  spec.defined = true;
  spec.counts[1] = 2;
  for (size_t leaves = 2; leaves < symbols.size() + 1;) {
    const uint32_t l = 1 + random.below(15);
    if (spec.counts[l] == 0) continue;
    --spec.counts[l];
    spec.counts[l + 1] = static_cast<uint8_t>(spec.counts[l + 1] + 2);
    ++leaves;
  }
  for (uint32_t l = 16; l > 0; --l) {
    if (spec.counts[l] == 0) continue;
    --spec.counts[l];
    break;
  }
  std::copy(symbols.begin(), symbols.end(), spec.symbols.begin());
  return spec;
}

// With some FF, which are stuffed; rare where a row of ones would be no code.
Bytes random_bytes(Random& random, size_t size, uint32_t one_ff_in) {
  Bytes out(size);
  for (uint8_t& b : out) b = static_cast<uint8_t>(random.below(one_ff_in) == 0 ? 255 : random());
  return out;
}

constexpr uint32_t kWidth = 64, kHeight = 40, kBlocks = 40;  // pixels, gray

// A gray image of these bits from every door and level, against what the slow decoder made of them. Selections hold `always` too.
void compare(const Coding& coding, const SlowImage& want, Random& random, uint32_t allowed_warnings, uint64_t always = 0) {
  static ImageDecoder portable(kernels(CpuLevel::kPortable)), best(kernels(CpuLevel::kAvx2));
  const Bytes file = write_jpeg(make_picture(kWidth, kHeight, {{1, 1}}, 1), coding).bytes;
  const uint64_t any = uint64_t{random()} << 32 | random();
  for (const uint64_t wanted :
       {~uint64_t{0}, uint64_t{0}, uint64_t{1}, any & (any << 7), any, uint64_t{0x0F0F0F0F}, uint64_t{0x0303}}) {
    const uint64_t mask = wanted | always;
    for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
      if (!supported(level)) continue;
      ImageDecoder& decoder = level == CpuLevel::kPortable ? portable : best;
      const Decoded d = decode_both(kernels(level), decoder, file, {mask, 0, 0}, nullptr, {});
      CHECK_EQ(d.complaint, "");
      CHECK_EQ(d.outcome.result.code, Code::kOk);
      CHECK_EQ(d.outcome.warnings & ~allowed_warnings, 0u);
      std::vector<int16_t> values;
      for (uint32_t f = 0; f < 64; ++f) {
        if ((mask >> f & 1) == 0) continue;
        const auto k = static_cast<size_t>(std::find(kZigzag.begin(), kZigzag.end(), f) - kZigzag.begin());
        for (const Block& block : want.blocks) values.push_back(block[k]);
      }
      CHECK(d.planes.size() == 1 && d.planes[0] == values);
    }
  }
}

}  // namespace

TEST(counts_that_are_no_prefix_code_are_refused) {
  Random random(1);
  uint32_t good = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    HuffmanSpec spec;
    spec.defined = true;
    uint32_t used = 0, total = 0;
    const uint32_t deep = 1 + random.below(16);
    for (uint32_t l = 1; l <= deep && total < 200; ++l) {
      const uint32_t most = l < 8 ? 1u << l : 255u;
      if (random.below(2) == 0) spec.counts[l] = static_cast<uint8_t>(random.below(most + 1) >> random.below(3));
      total += spec.counts[l];
    }
    // Kraft's sum in units of 2^-16; a sum of exactly one means a code of all ones (C.2). Codes that would not fit an earlier
    // length do not fit the sum either.
    for (uint32_t l = 1; l <= 16; ++l) used += uint32_t{spec.counts[l]} << (16 - l);
    CanonicalCode code;
    CHECK_EQ(build_canonical(spec, code), used < 1u << 16);
    good += used < 1u << 16;
  }
  CHECK(good > 2000);
  CHECK(good < 15000);
}

TEST(codes_longer_than_the_index_are_found_by_length) {
  Random random(2);
  for (int trial = 0; trial < 60; ++trial) {
    const auto symbols = some_symbols(random, 256, 1 + random.below(255));
    const HuffmanSpec spec = random_table(symbols, random, 8 + random.below(9));
    CanonicalCode code;
    REQUIRE(build_canonical(spec, code));
    for (uint32_t front = 0; front < 1u << 16; ++front) {
      const Bytes bytes = {static_cast<uint8_t>(front >> 8), static_cast<uint8_t>(front)};
      SlowBits slow{bytes};
      const uint32_t want = slow.symbol(spec);
      uint32_t got;
      if (code.find(front, got) == slow.at && got == want) continue;
      CHECK_EQ(front, 0x10000u);  // which it never is: this pattern was read in another way
      break;
    }
  }
}

TEST(a_dc_table_has_sizes_up_to_15) {
  HuffmanSpec spec = flat_table(16);
  DcTable table;
  CHECK(table.build(spec).ok());
  spec.symbols[3] = 16;
  CHECK_EQ(table.build(spec).code, Code::kBadHuffman);
}

TEST(tables_that_are_no_prefix_code_fail_in_the_scan) {
  Coding coding;
  coding.ac[0] = flat_table(2);
  coding.ac[0].counts[1] = 2;  // 0 and 1: all ones
  coding.ac[0].counts[2] = 0;
  const Bytes file = write_jpeg(make_picture(8, 8, {{1, 1}}, 1, {0, 0, 0}), coding).bytes;
  ImageDecoder decoder(kernels(CpuLevel::kPortable));
  CHECK_EQ(decode_both(kernels(CpuLevel::kPortable), decoder, file, {}, nullptr, {}).outcome.result.code, Code::kBadHuffman);
}

TEST(sequential_tables_read_any_bits_as_t81_does) {
  Random random(3);
  uint32_t bad = 0;
  for (int trial = 0; trial < 300; ++trial) {
    Coding coding;
    const auto dc = some_symbols(random, 16, 1 + random.below(16)), ac = some_symbols(random, 256, 1 + random.below(255));
    if (trial % 3 == 0) {
      coding.dc[0] = random_table(dc, random, 5 + random.below(12));
      coding.ac[0] = random_table(ac, random, 8 + random.below(9));
    } else {
      coding.dc[0] = full_table(random, dc);
      coding.ac[0] = full_table(random, ac);
    }
    coding.raw = {random_bytes(random, kBlocks * 250, trial % 3 == 0 ? 9 : 5000)};
    SlowBits bits{coding.raw[0]};
    SlowImage want;
    want.blocks.resize(kBlocks);
    slow_sequential(bits, coding.dc[0], coding.ac[0], want);
    bad += bits.bad;
    compare(coding, want, random, kWarnExtraData | (bits.bad ? uint32_t{kWarnBadCode} : 0));
  }
  CHECK(bad > 30);
  CHECK(bad < 270);
}

TEST(progressive_tables_read_any_bits_as_t81_does) {
  Random random(4);
  uint32_t compared = 0;
  for (int trial = 0; trial < 1500; ++trial) {
    const uint32_t ss = 1 + random.below(63), se = ss + random.below(64 - ss), al = random.below(4);
    Coding coding;
    coding.progressive = true;
    coding.scans = {{{0}, 0, 0, 0, 0}, {{0}, ss, se, 0, al + 2}, {{0}, ss, se, al + 2, al + 1}, {{0}, ss, se, al + 1, al}};
    coding.dc[0] = full_table(random, some_symbols(random, 16, 16));
    // Sizes of at most 10 bits, as first passes have; refinement reads any size as 1.
    auto symbols = some_symbols(random, 256, 255);
    std::erase_if(symbols, [](uint8_t s) { return (s & 15) > 10; });
    coding.ac[0] = full_table(random, symbols);
    for (int i = 0; i < 4; ++i) coding.raw.push_back(random_bytes(random, kBlocks * 130, 5000));
    SlowImage want;
    want.blocks.resize(kBlocks);
    SlowBits bits[4];
    for (int i = 0; i < 4; ++i) bits[i].bytes = coding.raw[static_cast<size_t>(i)];
    for (Block& block : want.blocks) {
      want.prediction += bits[0].value(bits[0].symbol(coding.dc[0]));
      block[0] = static_cast<int16_t>(want.prediction);
    }
    slow_ac_first(bits[1], coding.ac[0], coding.scans[1], want);
    slow_ac_refine(bits[2], coding.ac[0], coding.scans[2], want);
    slow_ac_refine(bits[3], coding.ac[0], coding.scans[3], want);
    bool usable = true;  // the decoder stops at what is no code
    for (const SlowBits& b : bits) usable &= !b.bad && b.at <= 8 * b.bytes.size();
    if (!usable) continue;
    ++compared;
    // A run past Se stores behind the band. Such a scan is read only if its band is wanted, so every selection here wants it.
    compare(coding, want, random, kWarnExtraData | kWarnRefinementSize, uint64_t{1} << kZigzag[ss]);
  }
  CHECK(compared > 200);
}

TEST_MAIN()
