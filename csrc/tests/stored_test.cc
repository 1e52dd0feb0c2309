// Stored records on the road of files: the judge is what the extractor makes of the JPEG files that they came from.
#include "stored_record.h"

#include <bit>
#include <cstring>
#include <utility>

#include "batch.h"
#include "batches.h"
#include "check.h"
#include "jpeg_writer.h"
#include "tile_selector.h"
#include "wire_io.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

constexpr Selection k24{0x0F0F0F0F, 0x0303, 0x0303}, k6{0x0103, 1, 1}, kNoDc{0x0E, 0x02, 0}, kLumaOnly{0x0F, 0, 0};

std::vector<Bytes> files() {
  std::vector<Bytes> out;
  const std::vector<std::vector<std::pair<int, int>>> layouts = {{{1, 1}},
                                                                 {{2, 2}, {1, 1}, {1, 1}},
                                                                 {{1, 1}, {1, 1}, {1, 1}},
                                                                 {{3, 1}, {1, 1}, {1, 1}},
                                                                 {{1, 2}, {1, 1}, {2, 1}},
                                                                 {{2, 1}, {1, 1}},
                                                                 {{1, 1}, {1, 1}, {1, 1}, {1, 1}}};
  uint32_t seed = 40;
  for (const auto& layout : layouts) {
    for (const auto& [width, height] : {std::pair{1u, 1u}, {150u, 90u}, {17u, 233u}}) {
      out.push_back(write_jpeg(make_picture(width, height, layout, ++seed), {}).bytes);
    }
  }
  return out;
}

std::vector<Request> file_requests(const std::vector<Bytes>& data, const Selection& selection) {
  std::vector<Request> out(data.size());
  for (size_t i = 0; i < data.size(); ++i) {
    out[i].bytes = data[i];
    out[i].selection = selection;
  }
  return out;
}

// Each record in memory of its own, so that a sanitizer sees a byte too far.
std::vector<Bytes> stored(const std::vector<Bytes>& data, const Selection& selection = {}) {
  Extractor extractor(1);
  return records_of(extract(extractor, file_requests(data, selection)));
}

std::vector<Source> sources(const std::vector<Bytes>& records) {
  std::vector<Source> out(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    out[i].bytes = records[i];
    out[i].is_record = true;
  }
  return out;
}

std::vector<Request> record_requests(const OpenFiles& opened, const Selection& selection) {
  std::vector<Request> out;
  for (size_t i = 0; i < opened.size(); ++i) {
    out.push_back(opened.request(i));
    out.back().selection = selection;
  }
  return out;
}

Request alone(std::span<const uint8_t> record) {
  Request r;
  r.bytes = record;
  r.is_record = true;
  return r;
}

Code code_of(Extractor& extractor, const Request& request) {
  extract(extractor, std::span(&request, 1));
  return extractor.outcome(0).result.code;
}

}  // namespace

TEST(records_give_the_bytes_that_their_files_give) {
  const std::vector<Bytes> data = files(), records = stored(data);
  for (const unsigned threads : {1u, 2u, 5u}) {
    Extractor extractor(threads);
    const OpenFiles opened = extractor.open(sources(records), {});
    for (const Selection& selection : {Selection{}, k24, k6, kNoDc, kLumaOnly}) {
      CHECK(extract(extractor, record_requests(opened, selection)) == extract(extractor, file_requests(data, selection)));
    }
  }
}

TEST(headers_are_those_of_the_files) {
  const std::vector<Bytes> data = files(), records = stored(data, k6);
  Extractor extractor(2);
  std::vector<Source> paths(data.size());
  for (size_t i = 0; i < data.size(); ++i) paths[i].bytes = data[i];
  const OpenFiles want = extractor.open(paths, {}), got = extractor.open(sources(records), {});
  for (size_t i = 0; i < data.size(); ++i) {
    CHECK(got.result(i).ok());
    const FrameFacts &a = got.facts(i), &b = want.facts(i);
    CHECK_EQ(a.width, b.width);
    CHECK_EQ(a.height, b.height);
    CHECK_EQ(a.orientation, b.orientation);
    CHECK_EQ(a.num_components, b.num_components);
    CHECK(a.process == b.process);
    CHECK(a.color == b.color);
    CHECK(a.h == b.h);
    CHECK(a.v == b.v);
    CHECK_EQ(got.bytes(i).size(), records[i].size());
  }
}

TEST(parts_are_those_of_cut_and_select) {
  const std::vector<Bytes> data = files(), records = stored(data, k24);
  Extractor extractor(3);
  const OpenFiles opened = extractor.open(sources(records), {});
  Random random(5);
  for (int trial = 0; trial < 60; ++trial) {
    const bool fewer = trial % 2 == 1;
    std::vector<Request> requests = record_requests(opened, fewer ? k6 : k24);
    std::vector<Bytes> want;
    for (size_t i = 0; i < records.size(); ++i) {
      Request& r = requests[i];
      const FrameFacts& f = opened.facts(i);
      r.has_region = trial % 3 != 0;
      r.region = {random() % f.height, random() % f.width, 1 + random() % f.height, 1 + random() % f.width};
      r.payload_checked = trial % 5 == 0;
      Bytes cut = records[i], few;
      if (r.has_region) {
        cut.clear();
        REQUIRE(cut_region(records[i], r.region, cut).ok());
      }
      if (fewer) {
        REQUIRE(select_channels(cut, record_masks(cut, k6), few));
        cut = few;
      }
      want.push_back(cut);
    }
    CHECK(records_of(extract(extractor, requests)) == want);
  }
}

TEST(a_cut_of_all_of_it_is_the_record) {
  const std::vector<Bytes> data = files(), records = stored(data, k24);
  Extractor extractor(1);
  for (const Bytes& record : records) {
    const Header facts = record_facts(record);
    Request r = alone(record);
    r.all_channels = r.has_region = true;
    r.region = {0, 0, facts.height, facts.width};
    CHECK(records_of(extract(extractor, std::span(&r, 1))) == std::vector<Bytes>{record});
  }
}

TEST(what_a_record_lacks_is_an_error_of_its_image) {
  const std::vector<Bytes> records = stored(files(), k24);
  Extractor extractor(1);
  CHECK(code_of(extractor, alone(records[4])) == Code::kChannelsMissing);
  CHECK_EQ(extractor.outcome(0).result.detail, 0u);
  Request r = alone(records[4]);
  r.selection = {0x0F0F0F0F, 0x0303, 0x0703};
  CHECK(code_of(extractor, r) == Code::kChannelsMissing);
  CHECK_EQ(extractor.outcome(0).result.detail, 2u);
  r.selection = k24;
  CHECK(code_of(extractor, r) == Code::kOk);
  r.has_region = true;
  r.region = {90, 0, 8, 8};
  CHECK(code_of(extractor, r) == Code::kRegionOutside);
}

TEST(every_flipped_bit_is_found_before_anything_is_given_out) {
  const std::vector<Bytes> records = stored({write_jpeg(make_picture(40, 30, {{2, 1}, {1, 1}, {1, 1}}, 8), {}).bytes}, kNoDc);
  Bytes record = records[0];
  Extractor extractor(1);
  Request whole = alone(record), part = alone(record), fewer = alone(record);
  whole.all_channels = part.all_channels = part.has_region = true;
  part.region = {0, 0, 8, 16};
  fewer.selection = {0x04, 0, 0};
  for (const Request* r : {&whole, &part, &fewer}) CHECK(code_of(extractor, *r) == Code::kOk);
  for (size_t bit = 0; bit < 8 * record.size(); ++bit) {
    record[bit / 8] = static_cast<uint8_t>(record[bit / 8] ^ 1 << bit % 8);
    for (const Request* r : {&whole, &part, &fewer}) CHECK(code_of(extractor, *r) == Code::kRecordDamaged);
    record[bit / 8] = static_cast<uint8_t>(record[bit / 8] ^ 1 << bit % 8);
  }
}

TEST(damage_that_shows_only_while_writing_leaves_the_others_as_they_are) {
  const std::vector<Bytes> good = stored(files(), k24);
  std::vector<Bytes> records = good;
  std::vector<Request> want;
  for (size_t i = 0; i < records.size(); ++i) {
    want.push_back(alone(good[i]));
    want.back().all_channels = true;
    if (i % 4 != 1) continue;
    records[i].back() ^= 128;
    want.back().failed = {Code::kRecordDamaged, 0, offsetof(wire::RecordHeader, payload_crc)};
  }
  for (const unsigned threads : {1u, 4u}) {
    Extractor extractor(threads);
    const OpenFiles opened = extractor.open(sources(records), {});
    std::vector<Request> requests;
    for (size_t i = 0; i < opened.size(); ++i) {
      CHECK(opened.result(i).ok());  // the facts are sound
      requests.push_back(opened.request(i));
      requests.back().all_channels = true;
    }
    const uint64_t promised = extractor.decode(requests, {});
    Batch batch(promised);
    const uint64_t written = extractor.write(batch.bytes.data());
    CHECK(written < promised);
    Extractor other(1);
    CHECK(Bytes(batch.bytes.begin(), batch.bytes.begin() + static_cast<ptrdiff_t>(written)) == extract(other, want));
    for (size_t i = 0; i < requests.size(); ++i) {
      CHECK(extractor.outcome(i).result.code == (i % 4 == 1 ? Code::kRecordDamaged : Code::kOk));
    }
  }
}

TEST(a_cut_off_or_misplaced_record_is_damaged) {
  const std::vector<Bytes> records = stored(files(), k6);
  const Bytes& record = records[3];
  Bytes two = record;
  two.insert(two.end(), record.begin(), record.end());
  Extractor extractor(1);
  for (size_t size = 0; size < record.size(); ++size) {
    CHECK(code_of(extractor, alone(Bytes(record.begin(), record.begin() + static_cast<ptrdiff_t>(size)))) ==
          Code::kRecordDamaged);
  }
  for (const size_t at : {size_t{1}, size_t{16}, size_t{64}, record.size() - 16, record.size() + 1}) {
    const size_t size = std::min(record.size(), two.size() - at);
    CHECK(code_of(extractor, alone(std::span<const uint8_t>(two).subspan(at, size))) == Code::kRecordDamaged);
  }
  CHECK(code_of(extractor, alone({})) == Code::kRecordDamaged);
}

TEST(a_record_may_lie_at_any_address) {
  const std::vector<Bytes> data = files(), records = stored(data);
  Extractor extractor(1);
  const Bytes want = extract(extractor, file_requests(data, k24));
  for (size_t shift = 1; shift < 16; shift += 2) {
    std::vector<Bytes> moved;
    for (const Bytes& record : records) {
      moved.emplace_back(shift);
      moved.back().insert(moved.back().end(), record.begin(), record.end());
    }
    std::vector<Source> at(moved.size());
    for (size_t i = 0; i < moved.size(); ++i) {
      at[i].bytes = std::span<const uint8_t>(moved[i]).subspan(shift);
      at[i].is_record = true;
    }
    const OpenFiles opened = extractor.open(at, {});
    CHECK(extract(extractor, record_requests(opened, k24)) == want);
  }
}

TEST(failed_and_cut_off_images_stay_what_they_were) {
  std::vector<Bytes> data = files();
  data[1].resize(data[1].size() / 2);
  data[2] = {'G', 'I', 'F', '8', '9', 'a'};
  Extractor extractor(2);
  DecodeOptions keep;
  keep.keep_truncated = true;
  const Bytes whole = extract(extractor, file_requests(data, {}), keep), few = extract(extractor, file_requests(data, k6), keep);
  const std::vector<Bytes> records = records_of(whole);
  const OpenFiles opened = extractor.open(sources(records), {});
  CHECK(opened.result(2).code == Code::kNotJpeg);
  CHECK_EQ(opened.result(2).detail, kUnknownDetail);
  CHECK_EQ(opened.facts(2).width, 0u);
  CHECK(extract(extractor, record_requests(opened, {})) == whole);  // truncated="error" does not matter any more
  CHECK_EQ(extractor.outcome(1).status, wire::kStatusTruncated);
  CHECK(extractor.outcome(1).valid_mcus > 0);
  CHECK(extract(extractor, record_requests(opened, k6)) == few);
}

TEST(files_and_records_share_a_batch) {
  const std::vector<Bytes> data = files(), records = stored(data);
  Extractor extractor(3);
  const Bytes want = extract(extractor, file_requests(data, k24));
  std::vector<Request> requests = file_requests(data, k24);
  for (size_t i = 0; i < data.size(); i += 2) {
    requests[i].bytes = records[i];
    requests[i].is_record = true;
  }
  for (int round = 0; round < 3; ++round) {
    CHECK(extract(extractor, requests) == want);
    CHECK(extract(extractor, std::span(requests).first(3)).size() < want.size());
  }
}

TEST(tiles_that_promise_more_than_they_hold_read_as_zero) {
  // Four channels of 16 planes each in 32 bytes: all masks but the first few lie past the end.
  Bytes tile(32, 0xFF);
  const TileBytes from{tile.data(), tile.size()};
  const TileSelector selector(0b1111, 0b0110);
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
    if (!supported(level)) continue;
    Bytes out(selector.room());
    const size_t size = kernels(level).select_tile(selector, from, tile.size(), out.data());
    CHECK_EQ(size, size_t{32});
    const TileBytes few{out.data(), size};
    CHECK_EQ(few[0], 0u);  // the base goes with DC
    CHECK_EQ(few[2], 0xFFu);
    // Mask bytes of channels 1 and 2, of which 12 lie inside; then zeros, as there are 0 stored bytes behind the end.
    for (uint64_t at = 3; at < 15; ++at) CHECK_EQ(few[at], 0xFFu);
    for (uint64_t at = 15; at < size; ++at) CHECK_EQ(few[at], 0u);
  }
}

TEST(levels_select_the_same_bytes_of_any_tile) {
  Random random(77);
  for (int trial = 0; trial < 4000; ++trial) {
    const auto any = [&] { return uint64_t{random()} << 32 ^ random(); };
    const uint64_t own = any() | 1, kept = own & any();
    const TileSelector selector(own, kept);
    const auto channels = static_cast<uint32_t>(std::popcount(own));
    Bytes tile(wire::min_tile_bytes(channels) + random() % 12 * wire::kAlign);
    for (auto& b : tile) b = static_cast<uint8_t>(trial % 2 != 0 ? random() : random() & random() & random() & 0x35);
    std::vector<Bytes> outs;
    for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
      if (!supported(level)) continue;
      for (const size_t slack : {size_t{0}, size_t{64}}) {  // with memory behind it, and without
        Bytes memory = tile, out(selector.room());
        memory.resize(tile.size() + slack, 0xEE);
        const size_t size = kernels(level).select_tile(selector, {memory.data(), tile.size()}, memory.size(), out.data());
        CHECK(size % wire::kAlign == 0 && size <= tile.size());
        out.resize(size);
        outs.push_back(out);
      }
    }
    for (const Bytes& out : outs) CHECK(out == outs[0]);
  }
}

TEST_MAIN()
