// The quick unpacker of csrc/ops: on every CPU level what the core's unpack_component gives, to the bit and whatever the bytes
// hold.
#include <algorithm>
#include <bit>
#include <cstring>

#include "check.h"
#include "ops_batches.h"
#include "record_view.h"
#include "unpacker.h"
#include "wire_io.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

constexpr int16_t kUnwritten = 12345;

// A record of noise with these sampling factors. Widths of 0 to 16 planes occur; many channels of many tiles are empty.
Bytes make_record(Random& random, uint32_t width, uint32_t height, const std::vector<std::pair<uint8_t, uint8_t>>& factors) {
  const Header header = header_of(random, width, height, factors, 65535);
  std::vector<std::vector<int16_t>> planes;
  for (size_t k = 0; k < factors.size(); ++k) {
    const size_t blocks = size_t{header.components[k].block_rows} * header.components[k].block_cols;
    std::vector<int16_t>& plane = planes.emplace_back(64 * blocks);
    for (size_t channel = 0; channel < 64; ++channel) {
      const uint32_t width_of_values = random.below(17), sparse = 1 + random.below(60);
      for (size_t i = 0; i < blocks && random.below(5) != 0; ++i) {
        if (random.below(sparse) != 0 || width_of_values == 0) continue;
        plane[channel * blocks + i] = static_cast<int16_t>(static_cast<int32_t>(random()) >> (32 - width_of_values));
      }
    }
  }
  return record_of(header, planes);
}

// One after the other, by the judge.
std::vector<int16_t> judged(const std::vector<Bytes>& records, std::vector<float>* floats = nullptr) {
  std::vector<int16_t> out;
  for (const Bytes& record : records) {
    const RecordView view(record);
    for (uint32_t k = 0; k < view.header.num_components; ++k) {
      const wire::ComponentRecord& c = view.components[k];
      const size_t at = out.size(), plane = size_t{c.w} * c.h;
      out.resize(at + c.channels * plane);
      unpack_component(record, static_cast<int>(k), out.data() + at);
      if (floats == nullptr) continue;
      size_t next = at;
      for (uint64_t left = c.mask; left != 0; left &= left - 1) {
        const float step = c.quantization[std::countr_zero(left)];
        for (size_t i = 0; i < plane; ++i) floats->push_back(static_cast<float>(out[next++]) * step);
      }
    }
  }
  return out;
}

void check_equal_to_judge(const std::vector<Bytes>& records) {
  const Bytes batch = batch_of(records);
  std::vector<float> floats;
  const std::vector<int16_t> want = judged(records, &floats);
  uint64_t values = 0;
  REQUIRE(ops::unpacked_values(batch, values));
  REQUIRE(values == want.size());
  for (const ops::OpsKernels* level : ops_levels()) {
    for (const unsigned threads : {1u, 3u}) {
      ops::Unpacker unpacker(threads, *level);
      std::vector<int16_t> integers(values + 64, kUnwritten);
      std::vector<float> scaled(values + 64, kUnwritten);
      CHECK(unpacker.unpack(batch, integers.data(), values) == ops::Status::kOk);
      CHECK(unpacker.unpack(batch, scaled.data(), values) == ops::Status::kOk);
      CHECK(std::equal(want.begin(), want.end(), integers.begin()));
      CHECK(std::equal(floats.begin(), floats.end(), scaled.begin()));
      for (size_t i = values; i < values + 64; ++i) CHECK(integers[i] == kUnwritten && scaled[i] == kUnwritten);
    }
  }
}

}  // namespace

TEST(whole_images_of_all_samplings) {
  Random random(1);
  check_equal_to_judge({make_record(random, 130, 70, {{1, 1}}), make_record(random, 65, 129, {{2, 2}, {1, 1}, {1, 1}}),
                        make_record(random, 1, 1, {{1, 1}, {1, 1}, {1, 1}}),
                        make_record(random, 200, 40, {{4, 1}, {1, 1}, {1, 1}, {2, 1}}),
                        make_record(random, 40, 333, {{1, 1}, {2, 2}, {1, 2}})});
}

TEST(fewer_channels_and_regions_that_begin_inside_a_tile) {
  Random random(2);
  for (int trial = 0; trial < 20; ++trial) {
    const Bytes record = make_record(random, 180, 150, {{2, 1}, {1, 1}, {1, 1}});
    ComponentMasks masks{};
    for (uint64_t& mask : masks) mask = (uint64_t{random()} << 32 | random()) & (uint64_t{random()} << 32 | random());
    if (trial % 4 == 0) masks[trial / 4 % 3] = 0;
    Bytes fewer, cut;
    REQUIRE(select_channels(record, masks, fewer));
    const Box box{random.below(140), random.below(170), 1 + random.below(100), 1 + random.below(100)};
    REQUIRE(cut_region(fewer, box, cut).ok());
    check_equal_to_judge({fewer, cut});
  }
}

TEST(bytes_of_any_kind_are_read_as_the_judge_reads_them) {
  Random random(3);
  const std::vector<Bytes> good = {make_record(random, 90, 66, {{1, 1}}), make_record(random, 70, 64, {{1, 1}, {1, 1}})};
  for (int trial = 0; trial < 150; ++trial) {
    std::vector<Bytes> records = good;
    for (Bytes& record : records) {
      const uint32_t meta = load_from<wire::RecordHeader>(record.data()).meta_bytes;
      for (uint32_t n = random.below(60); n > 0; --n) {
        record[meta + random.below(static_cast<uint32_t>(record.size()) - meta)] = static_cast<uint8_t>(random());
      }
    }
    check_equal_to_judge(records);
  }
}

TEST(numbers_that_do_not_fit_together_are_refused_or_kept_inside) {
  Random random(4);
  const Bytes good = batch_of({make_record(random, 90, 66, {{2, 2}, {1, 1}, {1, 1}})});
  uint64_t values = 0;
  REQUIRE(ops::unpacked_values(good, values));
  int refused = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    Bytes batch = good;
    const size_t meta = 64 + 16 * 4 + 64 + 192 * 3 + 128;
    for (int n = 0; n < 3; ++n) batch[random.below(meta)] = static_cast<uint8_t>(random());
    uint64_t now = 0;
    if (!ops::unpacked_values(batch, now) || now > 10 * values) {
      ++refused;
      continue;
    }
    for (const ops::OpsKernels* level : ops_levels()) {
      std::vector<int16_t> out(now + 1, kUnwritten);
      ops::Unpacker(1, *level).unpack(batch, out.data(), now);
      CHECK_EQ(out[now], kUnwritten);
    }
  }
  CHECK(refused > 200 && refused < 2000);
  for (size_t size = 0; size < good.size(); size += 1 + size / 8) {  // too short: neither read past nor called whole
    const Bytes cut(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
    CHECK(!ops::unpacked_values(cut, values));
  }
}

TEST_MAIN()
