// Many images at once: the same bytes from any number of threads, batch after batch, whatever fails in between. Also run under
// ThreadSanitizer: `make tsan`.
#include "batch.h"

#include <cstdio>
#include <filesystem>
#include <thread>
#include <utility>

#include "batches.h"
#include "check.h"
#include "file_store.h"
#include "jpeg_writer.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

constexpr Selection k24{0x0F0F0F0F, 0x0303, 0x0303};

// Baseline, progressive and restart files of several layouts, from a pixel to some hundred blocks.
std::vector<Bytes> files() {
  std::vector<Bytes> out;
  const std::vector<std::vector<std::pair<int, int>>> layouts = {
      {{1, 1}}, {{2, 2}, {1, 1}, {1, 1}}, {{1, 1}, {1, 1}, {1, 1}}, {{2, 1}, {1, 1}}, {{1, 1}, {1, 1}, {1, 1}, {1, 1}}};
  uint32_t seed = 0;
  for (const auto& layout : layouts) {
    for (const auto& [width, height] : {std::pair{1u, 1u}, {120u, 90u}, {200u, 64u}, {17u, 333u}}) {
      const Picture picture = make_picture(width, height, layout, ++seed);
      Coding coding;
      coding.restart_interval = seed % 3 == 0 ? 4 : 0;
      coding.progressive = seed % 2 == 0;
      if (coding.progressive) coding.scans = usual_progression(static_cast<uint32_t>(layout.size()));
      out.push_back(write_jpeg(picture, coding).bytes);
    }
  }
  return out;
}

Request request(std::span<const uint8_t> bytes, uint32_t seed = 0) {
  Request r;
  r.bytes = bytes;
  if (seed % 2 == 1) r.selection = k24;
  if (seed % 3 == 2) {
    r.has_region = true;
    r.region = {seed % 40, seed % 30, 32, 50};
  }
  return r;
}

// A file in the system's folder for such things, gone with the object.
class TemporaryFile {
 public:
  TemporaryFile(const char* name, const Bytes& content)
      : path_((std::filesystem::temp_directory_path() /
               (std::string("dctload-batch-test-") + std::to_string(std::random_device{}()) + name))
                  .string()) {
    std::FILE* const file = std::fopen(path_.c_str(), "wb");
    REQUIRE(file != nullptr);
    if (!content.empty()) CHECK_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
    std::fclose(file);
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Request path_request(const std::string& path) {
  Request r;
  r.is_path = true;
  r.path = path;
  return r;
}

}  // namespace

TEST(any_number_of_threads_gives_the_same_bytes) {
  const std::vector<Bytes> data = files();
  std::vector<Request> requests;
  for (uint32_t i = 0; i < 120; ++i) requests.push_back(request(data[i % data.size()], i));
  Extractor one(1);
  CHECK_EQ(one.num_threads(), 1u);
  const Bytes want = extract(one, requests);
  for (unsigned threads = 2; threads <= 8; ++threads) {
    Extractor many(threads);
    CHECK_EQ(many.num_threads(), threads);
    CHECK(extract(many, requests) == want);
    for (size_t i = 0; i < requests.size(); ++i) CHECK_EQ(many.outcome(i).result.code, one.outcome(i).result.code);
  }
  CHECK(Extractor(0).num_threads() >= 1);
}

TEST(a_batch_is_the_join_of_batches_of_one) {
  const std::vector<Bytes> data = files();
  std::vector<Request> requests;
  for (uint32_t i = 0; i < data.size(); ++i) requests.push_back(request(data[i], i));
  Extractor extractor(3);
  std::vector<Bytes> records;
  for (const Request& r : requests) {
    const std::vector<Bytes> one = records_of(extract(extractor, std::span(&r, 1)));
    records.insert(records.end(), one.begin(), one.end());
  }
  CHECK(extract(extractor, requests) == batch_of(records));
}

TEST(an_extractor_serves_many_batches_of_changing_size) {
  const std::vector<Bytes> data = files();
  Extractor one(1), four(4);
  Random random(3);
  for (int round = 0; round < 60; ++round) {
    std::vector<Request> requests;
    for (uint32_t n = random.below(round % 5 == 0 ? 40 : 6); n > 0; --n) {
      requests.push_back(request(data[random.below(static_cast<uint32_t>(data.size()))], random.below(6)));
    }
    const Bytes batch = extract(four, requests);
    CHECK(batch == extract(one, requests));
  }
}

TEST(threads_that_come_later_have_no_part_in_earlier_batches) {
  const Bytes file = write_jpeg(make_picture(8, 8, {{1, 1}}, 1)).bytes;
  for (int round = 0; round < 500; ++round) {
    Extractor extractor(8);
    for (size_t count = 2; count <= 8; ++count) {  // each batch starts one thread more
      const std::vector<Request> requests(count, request(file));
      extractor.decode(requests, {});
      for (size_t i = 0; i < count; ++i) CHECK_EQ(extractor.outcome(i).valid_mcus, 1u);
    }
  }
}

TEST(a_batch_of_nothing_is_a_header) {
  Extractor extractor(2);
  const Bytes batch = extract(extractor, {});
  CHECK_EQ(batch.size(), wire::kHeaderBytes);
}

TEST(a_batch_may_be_written_more_than_once) {
  const std::vector<Bytes> data = files();
  std::vector<Request> requests;
  for (const Bytes& bytes : data) requests.push_back(request(bytes));
  Extractor extractor(2);
  const uint64_t size = extractor.decode(requests, {});
  Batch first(size), second(size);
  extractor.write(first.bytes.data());
  extractor.write(second.bytes.data());
  CHECK(std::equal(first.bytes.begin(), first.bytes.end(), second.bytes.begin()));
}

TEST(failing_images_leave_the_others_as_they_are) {
  const std::vector<Bytes> data = files();
  const Bytes text = {'h', 'e', 'l', 'l', 'o'};
  Bytes cut = data[9];
  cut.resize(cut.size() * 2 / 3);
  const Bytes headless(data[5].begin(), data[5].begin() + 30);
  std::vector<Request> requests;
  std::vector<Code> codes;
  for (uint32_t i = 0; i < data.size(); ++i) {
    requests.push_back(request(data[i]));
    codes.push_back(Code::kOk);
    switch (i % 5) {
      case 0:
        requests.push_back(request(text));
        codes.push_back(Code::kNotJpeg);
        break;
      case 1:
        requests.push_back(request(cut));
        codes.push_back(Code::kDataTruncated);
        break;
      case 2:
        requests.push_back(request(headless));
        codes.push_back(Code::kNoImage);
        break;
      case 3:
        requests.push_back(request({}));
        codes.push_back(Code::kNotJpeg);
        break;
      default:
        requests.push_back(request(data[i]));
        requests.back().has_region = true;
        requests.back().region = {5000, 0, 10, 10};
        codes.push_back(Code::kRegionOutside);
    }
  }
  Extractor one(1), five(5);
  const Bytes want = extract(one, requests), got = extract(five, requests);
  CHECK(got == want);
  for (size_t i = 0; i < requests.size(); ++i) {
    CHECK_EQ(five.outcome(i).result.code, codes[i]);
    CHECK_EQ(five.outcome(i).status == wire::kStatusFailed, codes[i] != Code::kOk);
  }
  // With keep_truncated the cut ones are there too.
  extract(five, requests, {{}, true});
  for (size_t i = 0; i < requests.size(); ++i) {
    const bool is_cut = codes[i] == Code::kDataTruncated;
    CHECK_EQ(five.outcome(i).result.code, is_cut ? Code::kOk : codes[i]);
    if (is_cut) CHECK_EQ(five.outcome(i).status, wire::kStatusTruncated);
  }
  CHECK(extract(five, requests) == want);
}

TEST(limits_hold_for_each_image) {
  const std::vector<Bytes> data = files();
  std::vector<Request> requests;
  for (const Bytes& bytes : data) requests.push_back(request(bytes));
  DecodeOptions options;
  options.limits.pixels = 120 * 90;
  Extractor extractor(2);
  extract(extractor, requests, options);
  for (size_t i = 0; i < data.size(); ++i) {
    CHECK_EQ(extractor.outcome(i).result.code, i % 4 == 2 ? Code::kLimitPixels : Code::kOk);  // of 200 x 64
  }
}

TEST(paths_give_the_bytes_of_their_files) {
  std::vector<Bytes> data = files();
  // Longer than the first piece that is read of a file.
  data.push_back(write_jpeg(make_picture(800, 600, {{1, 1}, {1, 1}, {1, 1}}, 7, {60, 1023, 1023})).bytes);
  CHECK(data.back().size() > 600000);
  std::vector<std::unique_ptr<TemporaryFile>> stored;
  std::vector<Request> by_bytes, by_path;
  for (uint32_t i = 0; i < data.size(); ++i) {
    stored.push_back(std::make_unique<TemporaryFile>(".jpg", data[i]));
    by_bytes.push_back(request(data[i]));
    by_path.push_back(path_request(stored.back()->path()));
  }
  Extractor extractor(4);
  const Bytes want = extract(extractor, by_bytes);
  CHECK(extract(extractor, by_path) == want);
  CHECK(extract(extractor, by_path) == want);  // with the buffers of the first time

  DecodeOptions options;
  options.limits.bytes = data.back().size() - 1;
  extract(extractor, by_path, options);
  CHECK_EQ(extractor.outcome(data.size() - 1).result.code, Code::kLimitBytes);
  CHECK_EQ(extractor.outcome(0).result.code, Code::kOk);
}

TEST(a_path_that_cannot_be_read_fails_alone) {
  const TemporaryFile good(".jpg", files()[1]), empty(".empty", {});
  const std::vector<Request> requests = {
      path_request(good.path()),  path_request(good.path() + ".none"),
      path_request(empty.path()), path_request(std::filesystem::temp_directory_path().string()),
      path_request(""),           path_request(good.path())};
  Extractor extractor(3);
  extract(extractor, requests);
  const Code codes[] = {Code::kOk, Code::kIo, Code::kNotJpeg, Code::kIo, Code::kIo, Code::kOk};
  for (size_t i = 0; i < requests.size(); ++i) CHECK_EQ(extractor.outcome(i).result.code, codes[i]);
}

TEST(opened_files_give_the_bytes_of_one_phase) {
  const std::vector<Bytes> data = files();
  std::vector<std::unique_ptr<TemporaryFile>> stored;
  std::vector<Source> sources;
  std::vector<Request> requests;
  for (uint32_t i = 0; i < data.size(); ++i) {
    stored.push_back(std::make_unique<TemporaryFile>(".jpg", data[i]));
    requests.push_back(request(data[i], i));
    sources.push_back(i % 2 == 0 ? static_cast<const Source&>(requests[i]) : path_request(stored[i]->path()));
  }
  Extractor one(1);
  const Bytes want = extract(one, requests);
  for (unsigned threads = 1; threads <= 5; ++threads) {
    Extractor extractor(threads);
    const OpenFiles first = extractor.open(sources, {});
    const OpenFiles second = extractor.open(sources, {});  // must not take what the first one holds
    for (const OpenFiles* opened : {&first, &second, &first}) {
      std::vector<Request> again;
      for (size_t i = 0; i < data.size(); ++i) {
        CHECK(opened->result(i).ok());
        CHECK(Bytes(opened->bytes(i).begin(), opened->bytes(i).end()) == data[i]);
        again.push_back(opened->request(i));
        again[i].selection = requests[i].selection;
        again[i].has_region = requests[i].has_region;
        again[i].region = requests[i].region;
      }
      CHECK(extract(extractor, again) == want);
    }
  }
}

TEST(opened_files_know_their_headers_or_what_is_wrong) {
  const Bytes good = write_jpeg(make_picture(200, 64, {{2, 1}, {1, 1}, {1, 1}}, 3)).bytes;
  const Bytes text = {'h', 'e', 'l', 'l', 'o'}, headless(good.begin(), good.begin() + 30);
  const TemporaryFile stored(".jpg", good);
  std::vector<Source> sources = {request(good), request(text), path_request(stored.path() + ".none"), request(headless),
                                 path_request(stored.path())};
  OpenFiles opened;
  {
    Extractor extractor(2);
    opened = extractor.open(sources, {});
  }  // it outlives its extractor
  CHECK_EQ(opened.size(), sources.size());
  const Code codes[] = {Code::kOk, Code::kNotJpeg, Code::kIo, Code::kNoImage, Code::kOk};
  for (size_t i = 0; i < opened.size(); ++i) {
    const FrameFacts& f = opened.facts(i);
    CHECK_EQ(opened.result(i).code, codes[i]);
    CHECK_EQ(f.width, codes[i] == Code::kOk ? 200u : 0u);
    CHECK_EQ(f.h[0], codes[i] == Code::kOk ? 2 : 0);
    CHECK_EQ(f.num_components, codes[i] == Code::kOk ? 3 : 0);
  }
  CHECK(opened.bytes(2).empty());
  CHECK_EQ(opened.bytes(1).size(), text.size());

  std::vector<Request> requests;
  for (size_t i = 0; i < opened.size(); ++i) requests.push_back(opened.request(i));
  Extractor another(1);
  extract(another, requests);
  for (size_t i = 0; i < opened.size(); ++i) CHECK_EQ(another.outcome(i).result.code, codes[i]);
}

TEST(a_pool_hands_out_again_what_was_given_back) {
  PiecePool pool;
  Piece small = pool.take(10), large = pool.take(3 << 20);
  CHECK_EQ(small.capacity, PiecePool::kSmallest);
  CHECK(large.capacity >= 3 << 20);
  const uint8_t* const places[] = {small.data.get(), large.data.get()};
  pool.give(std::move(large));
  pool.give(std::move(small));
  small = pool.take(1);
  CHECK(small.data.get() == places[0]);  // the smallest that is large enough
  large = pool.take(PiecePool::kSmallest + 1);
  CHECK(large.data.get() == places[1]);
  pool.give(std::move(large));
  CHECK(pool.take(5 << 20).data.get() != places[1]);
  CHECK(pool.take(1).data.get() == places[1]);
}

TEST(files_lie_unchanged_behind_each_other) {
  const auto pool = std::make_shared<PiecePool>();
  FileStore store(pool);
  Random random(5);
  std::vector<Bytes> content;
  std::vector<std::span<const uint8_t>> read;
  for (const uint32_t size : {5u, 700000u, 0u, 400000u, 3000000u, 17u}) {
    Bytes bytes(size);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random.below(256));
    const TemporaryFile file(".bin", bytes);
    content.push_back(bytes);
    read.emplace_back();
    CHECK(store.read(file.path(), UINT64_MAX, read.back()).ok());
    std::span<const uint8_t> more;
    CHECK_EQ(store.read(file.path(), size, more).code, Code::kOk);
    CHECK_EQ(more.size(), size_t{size});
    if (size > 0) CHECK_EQ(store.read(file.path(), size - 1, more).code, Code::kLimitBytes);
  }
  for (size_t i = 0; i < content.size(); ++i) CHECK(Bytes(read[i].begin(), read[i].end()) == content[i]);
}

TEST(extractors_work_beside_each_other) {
  const std::vector<Bytes> data = files();
  std::vector<Request> requests;
  for (uint32_t i = 0; i < data.size(); ++i) requests.push_back(request(data[i], i));
  Extractor first(1);
  const Bytes want = extract(first, requests);
  std::vector<std::thread> threads;
  for (unsigned n = 1; n <= 3; ++n) {
    threads.emplace_back([&, n] {
      Extractor own(n);
      for (int round = 0; round < 4; ++round) CHECK(extract(own, requests) == want);
    });
  }
  for (std::thread& t : threads) t.join();
}

TEST_MAIN()
