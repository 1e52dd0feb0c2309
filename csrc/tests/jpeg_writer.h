// JPEG streams for the tests: coefficients in, bytes out, bit by bit and as plainly as T.81 says it. Sequential and progressive,
// any Huffman tables, any scans, restart intervals.
//
// Coefficients are given by block, in frequency order 8 * v + u, for the component's own blocks. What fills up the MCUs of an
// interleaved scan (A.2.4) is noise, since a decoder has to drop it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "header.h"

namespace dctload::testing {

using Bytes = std::vector<uint8_t>;
using Block = std::array<int16_t, 64>;

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t operator()() { return static_cast<uint32_t>(engine_()); }
  uint32_t below(uint32_t n) { return (*this)() % n; }
  int between(int low, int high) { return low + static_cast<int>(below(static_cast<uint32_t>(high - low + 1))); }

 private:
  std::mt19937 engine_;
};

// ------------------------------------------------------------------------------------------------- pictures

struct Plane {
  uint8_t id = 1, h = 1, v = 1;
  uint32_t cols = 0, rows = 0;  // own blocks
  std::vector<Block> blocks;    // [rows][cols]
};

struct Picture {
  uint32_t width = 0, height = 0;
  uint32_t h_max = 1, v_max = 1, mcus_x = 0, mcus_y = 0;
  std::vector<Plane> planes;
};

struct Noise {
  uint32_t per_block = 8;  // AC coefficients that are not zero, about
  int ac = 1023, dc = 1023;
};

inline Block noisy_block(Random& random, const Noise& noise) {
  Block block{};
  block[0] = static_cast<int16_t>(random.between(-noise.dc, noise.dc));
  // Most are small and low in frequency, as in photographs; some are large and anywhere.
  for (uint32_t n = random.below(2 * noise.per_block + 1); n > 0; --n) {
    const uint32_t k = random.below(3) == 0 ? 1 + random.below(63) : 1 + random.below(9);
    const int range = random.below(8) == 0 ? noise.ac : std::min(noise.ac, 6);
    block[kZigzag[k]] = static_cast<int16_t>(random.between(-range, range));
  }
  return block;
}

// `factors` (h, v) by component.
inline Picture make_picture(uint32_t width, uint32_t height, const std::vector<std::pair<int, int>>& factors, uint32_t seed,
                            const Noise& noise = {}) {
  const auto up = [](uint32_t a, uint32_t b) { return (a + b - 1) / b; };
  Random random(seed);
  Picture picture{width, height, 1, 1, 0, 0, {}};
  for (const auto& [h, v] : factors) {
    picture.h_max = std::max(picture.h_max, static_cast<uint32_t>(h));
    picture.v_max = std::max(picture.v_max, static_cast<uint32_t>(v));
  }
  picture.mcus_x = up(width, 8 * picture.h_max);
  picture.mcus_y = up(height, 8 * picture.v_max);
  for (const auto& [h, v] : factors) {
    Plane plane;
    plane.id = static_cast<uint8_t>(picture.planes.size() + 1);
    plane.h = static_cast<uint8_t>(h);
    plane.v = static_cast<uint8_t>(v);
    plane.cols = up(up(width * plane.h, picture.h_max), 8);
    plane.rows = up(up(height * plane.v, picture.v_max), 8);
    for (uint32_t i = 0; i < plane.cols * plane.rows; ++i) plane.blocks.push_back(noisy_block(random, noise));
    picture.planes.push_back(std::move(plane));
  }
  return picture;
}

// ------------------------------------------------------------------------------------------------- Huffman tables

// Codes of random lengths up to `depth` for at most 255 `symbols`; some bit patterns stay without a symbol.
inline HuffmanSpec random_table(std::span<const uint8_t> symbols, Random& random, uint32_t depth = 16) {
  HuffmanSpec spec;
  spec.defined = true;
  uint32_t left = static_cast<uint32_t>(symbols.size()), nodes = 1;  // `nodes`: prefixes of this length that are no code yet
  for (uint32_t length = 1; length <= depth; ++length) {
    nodes *= 2;
    uint32_t n = left;
    if (length < depth) {
      n = random.below(3) == 0 ? 0 : std::min(left, random.below(1 + nodes / 2));
      // The rest must find room, and a code of all ones stays free (C.2).
      while ((uint64_t{nodes - n} << (depth - length)) < uint64_t{left - n} + 1) --n;
    }
    spec.counts[length] = static_cast<uint8_t>(n);
    nodes -= n;
    left -= n;
  }
  std::copy(symbols.begin(), symbols.end(), spec.symbols.begin());
  return spec;
}

// Every symbol below `count`, with codes of about the same length.
inline HuffmanSpec flat_table(uint32_t count) {
  HuffmanSpec spec;
  spec.defined = true;
  const uint32_t length = static_cast<uint32_t>(std::bit_width(count - 1));
  const uint32_t room = (1u << length) - 1;  // all ones stays free
  const uint32_t here = count <= room ? count : room;
  spec.counts[length] = static_cast<uint8_t>(here);
  spec.counts[length + 1] = static_cast<uint8_t>(count - here);
  for (uint32_t i = 0; i < count; ++i) spec.symbols[i] = static_cast<uint8_t>(i);
  return spec;
}

struct HuffmanCodes {
  explicit HuffmanCodes(const HuffmanSpec& spec) {
    uint32_t code = 0, p = 0;
    for (uint32_t l = 1; l <= 16; ++l, code <<= 1) {
      for (uint32_t n = spec.counts[l]; n > 0; --n) {
        bits[spec.symbols[p]] = code++;
        length[spec.symbols[p++]] = l;
      }
    }
  }
  std::array<uint32_t, 256> bits{}, length{};
};

// ------------------------------------------------------------------------------------------------- streams

struct Scan {
  std::vector<uint32_t> components;  // index in the picture
  uint32_t ss = 0, se = 63, ah = 0, al = 0;
};

struct Coding {
  bool progressive = false;
  std::vector<Scan> scans;  // none: one scan of all components
  uint32_t restart_interval = 0;
  std::array<HuffmanSpec, 2> dc = {flat_table(16), flat_table(12)};  // component 0 uses the first, the others the second
  std::array<HuffmanSpec, 2> ac = {flat_table(256), flat_table(255)};
  uint32_t quantization = 7;
  bool eoi = true;
  std::vector<Bytes> raw;  // by scan: bits to write, before stuffing, in place of the picture's
};

struct Stream {
  Bytes bytes;
  std::vector<size_t> data;      // by scan: where its entropy-coded data begins
  std::vector<size_t> data_end;  // and ends
  std::vector<size_t> restarts;  // where each RSTn stands
};

class BitWriter {
 public:
  explicit BitWriter(Bytes& out) : out_(out) {}
  void put(uint32_t bits, uint32_t count) {
    for (uint32_t i = count; i-- > 0;) {
      byte_ = byte_ << 1 | (bits >> i & 1);
      if (++filled_ == 8) flush();
    }
  }
  void pad() {
    while (filled_ != 0) put(1, 1);  // F.1.2.3
  }

 private:
  void flush() {
    out_.push_back(static_cast<uint8_t>(byte_));
    if ((byte_ & 255) == 255) out_.push_back(0);
    byte_ = filled_ = 0;
  }
  Bytes& out_;
  uint32_t byte_ = 0, filled_ = 0;
};

class JpegWriter {
 public:
  JpegWriter(const Picture& picture, const Coding& coding) : picture_(picture), coding_(coding), bits_(stream_.bytes) {}

  Stream write() {
    marker(0xD8);
    Bytes dqt = {0};
    for (uint32_t k = 0; k < 64; ++k) dqt.push_back(static_cast<uint8_t>(coding_.quantization + k));
    segment(0xDB, dqt);
    Bytes frame = {8,
                   high(picture_.height),
                   low(picture_.height),
                   high(picture_.width),
                   low(picture_.width),
                   static_cast<uint8_t>(picture_.planes.size())};
    for (const Plane& p : picture_.planes) frame.insert(frame.end(), {p.id, static_cast<uint8_t>(p.h << 4 | p.v), 0});
    segment(coding_.progressive ? 0xC2 : 0xC1, frame);
    for (uint8_t i = 0; i < 2; ++i) {
      table(i, coding_.dc[i]);
      table(static_cast<uint8_t>(16 + i), coding_.ac[i]);
    }
    if (coding_.restart_interval != 0) segment(0xDD, {high(coding_.restart_interval), low(coding_.restart_interval)});
    if (coding_.scans.empty()) {
      Scan all;
      for (uint32_t c = 0; c < picture_.planes.size(); ++c) all.components.push_back(c);
      scan(all);
    }
    for (const Scan& s : coding_.scans) scan(s);
    if (coding_.eoi) marker(0xD9);
    return std::move(stream_);
  }

 private:
  static uint8_t high(uint32_t v) { return static_cast<uint8_t>(v >> 8); }
  static uint8_t low(uint32_t v) { return static_cast<uint8_t>(v); }
  void marker(uint8_t second) { stream_.bytes.insert(stream_.bytes.end(), {0xFF, second}); }
  void segment(uint8_t second, const Bytes& body) {
    marker(second);
    const uint32_t length = static_cast<uint32_t>(body.size()) + 2;
    stream_.bytes.insert(stream_.bytes.end(), {high(length), low(length)});
    stream_.bytes.insert(stream_.bytes.end(), body.begin(), body.end());
  }
  void table(uint8_t index, const HuffmanSpec& spec) {
    if (!spec.defined) return;
    Bytes body = {index};
    uint32_t count = 0;
    for (uint32_t l = 1; l <= 16; ++l) {
      body.push_back(spec.counts[l]);
      count += spec.counts[l];
    }
    body.insert(body.end(), spec.symbols.begin(), spec.symbols.begin() + count);
    segment(0xC4, body);
  }

  void scan(const Scan& s) {
    Bytes head = {static_cast<uint8_t>(s.components.size())};
    for (const uint32_t c : s.components) {
      head.insert(head.end(), {picture_.planes[c].id, static_cast<uint8_t>(c == 0 ? 0x00 : 0x11)});
    }
    head.insert(head.end(), {static_cast<uint8_t>(s.ss), static_cast<uint8_t>(s.se), static_cast<uint8_t>(s.ah << 4 | s.al)});
    segment(0xDA, head);
    stream_.data.push_back(stream_.bytes.size());
    if (stream_.data.size() <= coding_.raw.size()) {
      for (const uint8_t byte : coding_.raw[stream_.data.size() - 1]) bits_.put(byte, 8);
      stream_.data_end.push_back(stream_.bytes.size());
      return;
    }
    const bool alone = s.components.size() == 1;
    const Plane& first = picture_.planes[s.components[0]];
    const uint32_t across = alone ? first.cols : picture_.mcus_x, down = alone ? first.rows : picture_.mcus_y;
    predictions_.fill(0);
    for (uint32_t mcu = 0; mcu < across * down; ++mcu) {
      if (coding_.restart_interval != 0 && mcu != 0 && mcu % coding_.restart_interval == 0) {
        flush_eob_run(s);
        bits_.pad();
        stream_.restarts.push_back(stream_.bytes.size());
        marker(static_cast<uint8_t>(0xD0 + (mcu / coding_.restart_interval - 1) % 8));
        predictions_.fill(0);
      }
      const uint32_t my = mcu / across, mx = mcu % across;
      for (const uint32_t c : s.components) {
        const Plane& p = picture_.planes[c];
        const uint32_t h = alone ? 1 : p.h, v = alone ? 1 : p.v;
        for (uint32_t y = 0; y < v; ++y) {
          for (uint32_t x = 0; x < h; ++x) block(s, c, my * v + y, mx * h + x);
        }
      }
    }
    flush_eob_run(s);
    bits_.pad();
    stream_.data_end.push_back(stream_.bytes.size());
  }

  void block(const Scan& s, uint32_t c, uint32_t row, uint32_t col) {
    const Plane& p = picture_.planes[c];
    const bool own = row < p.rows && col < p.cols;
    const Block content = own ? p.blocks[size_t{row} * p.cols + col] : noisy_block(padding_, {3, 60, 500});
    const int which = c == 0 ? 0 : 1;
    if (!coding_.progressive) {
      dc_first(content[0], c, HuffmanCodes(coding_.dc[which]));
      ac_sequential(content, HuffmanCodes(coding_.ac[which]));
    } else if (s.ss == 0 && s.ah == 0) {
      dc_first(content[0] >> s.al, c, HuffmanCodes(coding_.dc[which]));
    } else if (s.ss == 0) {
      bits_.put(static_cast<uint32_t>(content[0]) >> s.al & 1, 1);
    } else if (s.ah == 0) {
      ac_first(s, content);
    } else {
      ac_refine(s, content);
    }
  }

  void symbol(const HuffmanCodes& codes, uint32_t value) {
    if (codes.length[value] == 0) std::abort();  // the test's table lacks a symbol that its picture needs
    bits_.put(codes.bits[value], codes.length[value]);
  }
  void magnitude(int value, uint32_t size) { bits_.put(static_cast<uint32_t>(value < 0 ? value - 1 : value), size); }
  static uint32_t size_of(int value) { return static_cast<uint32_t>(std::bit_width(static_cast<uint32_t>(std::abs(value)))); }

  void dc_first(int value, uint32_t c, const HuffmanCodes& codes) {  // F.1.2.1, G.1.2.1
    const int difference = static_cast<int16_t>(value - predictions_[c]);
    predictions_[c] = value;
    symbol(codes, size_of(difference));
    magnitude(difference, size_of(difference));
  }

  void ac_sequential(const Block& content, const HuffmanCodes& codes) {  // F.1.2.2
    uint32_t run = 0;
    for (uint32_t k = 1; k < 64; ++k) {
      const int value = content[kZigzag[k]];
      if (value == 0) {
        ++run;
        continue;
      }
      for (; run > 15; run -= 16) symbol(codes, 0xF0);
      symbol(codes, run << 4 | size_of(value));
      magnitude(value, size_of(value));
      run = 0;
    }
    if (run != 0) symbol(codes, 0);
  }

  const HuffmanSpec& ac_table(const Scan& s) const { return coding_.ac[s.components[0] == 0 ? 0 : 1]; }

  // The EOB run of the blocks so far, with their correction bits (G.1.2.2, G.1.2.3).
  void flush_eob_run(const Scan& s) {
    if (eob_run_ == 0) return;
    const uint32_t size = static_cast<uint32_t>(std::bit_width(eob_run_)) - 1;
    symbol(HuffmanCodes(ac_table(s)), size << 4);
    bits_.put(eob_run_, size);
    corrections(eob_corrections_);
    eob_run_ = 0;
  }
  void corrections(std::vector<uint8_t>& list) {
    for (const uint8_t bit : list) bits_.put(bit, 1);
    list.clear();
  }

  void ac_first(const Scan& s, const Block& content) {
    const HuffmanCodes codes(ac_table(s));
    uint32_t run = 0;
    for (uint32_t k = s.ss; k <= s.se; ++k) {
      const int full = content[kZigzag[k]], shifted = std::abs(full) >> s.al;
      if (shifted == 0) {
        ++run;
        continue;
      }
      flush_eob_run(s);
      for (; run > 15; run -= 16) symbol(codes, 0xF0);
      symbol(codes, run << 4 | size_of(shifted));
      magnitude(full < 0 ? -shifted : shifted, size_of(shifted));
      run = 0;
    }
    if (run != 0 && ++eob_run_ == 0x7FFF) flush_eob_run(s);
  }

  void ac_refine(const Scan& s, const Block& content) {
    const HuffmanCodes codes(ac_table(s));
    std::array<int, 64> shifted{};
    uint32_t last_new = 0, run = 0;
    for (uint32_t k = s.ss; k <= s.se; ++k) {
      shifted[k] = std::abs(content[kZigzag[k]]) >> s.al;
      if (shifted[k] == 1) last_new = k;
    }
    std::vector<uint8_t> own;  // correction bits of this block that no symbol precedes yet
    for (uint32_t k = s.ss; k <= s.se; ++k) {
      if (shifted[k] == 0) {
        ++run;
        continue;
      }
      for (; run > 15 && k <= last_new; run -= 16) {
        flush_eob_run(s);
        symbol(codes, 0xF0);
        corrections(own);
      }
      if (shifted[k] > 1) {
        own.push_back(static_cast<uint8_t>(shifted[k] & 1));
        continue;
      }
      flush_eob_run(s);
      symbol(codes, run << 4 | 1);
      bits_.put(content[kZigzag[k]] < 0 ? 0 : 1, 1);
      corrections(own);
      run = 0;
    }
    if (run == 0 && own.empty()) return;
    eob_corrections_.insert(eob_corrections_.end(), own.begin(), own.end());
    if (++eob_run_ == 0x7FFF) flush_eob_run(s);
  }

  const Picture& picture_;
  const Coding& coding_;
  Stream stream_;
  BitWriter bits_;
  Random padding_{99};
  std::array<int, 4> predictions_{};
  uint32_t eob_run_ = 0;
  std::vector<uint8_t> eob_corrections_;
};

inline Stream write_jpeg(const Picture& picture, const Coding& coding = {}) { return JpegWriter(picture, coding).write(); }

// A progressive script like libjpeg's own: DC at 1, two bands at 2, refinements, DC to 0.
inline std::vector<Scan> usual_progression(uint32_t components) {
  std::vector<Scan> scans(1);
  scans[0].se = 0;
  scans[0].al = 1;
  for (uint32_t c = 0; c < components; ++c) scans[0].components.push_back(c);
  for (uint32_t c = components; c-- > 0;) scans.push_back({{c}, 1, 5, 0, 2});
  for (uint32_t c = components; c-- > 0;) scans.push_back({{c}, 6, 63, 0, 2});
  for (uint32_t c = 0; c < components; ++c) scans.push_back({{c}, 1, 63, 2, 1});
  scans.push_back({scans[0].components, 0, 0, 1, 0});
  for (uint32_t c = 0; c < components; ++c) scans.push_back({{c}, 1, 63, 1, 0});
  return scans;
}

}  // namespace dctload::testing
