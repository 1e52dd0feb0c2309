// The resampling operator: an axis against its definition in float64, whole images against the dense product, on every CPU level.
#include "resampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <deque>

#include "check.h"
#include "ops_batches.h"
#include "record_view.h"
#include "wire.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

using Matrix = std::vector<std::vector<double>>;  // [rows][columns]

Matrix zeros(size_t rows, size_t cols) { return Matrix(rows, std::vector<double>(cols)); }

double uniform(Random& random, double low, double high) { return low + (high - low) * (random() / 4294967296.0); }

// T.81 A.3.3.
double dct(size_t u, size_t x) {
  const double pi = std::acos(-1.0);
  return (u == 0 ? std::sqrt(0.125) : 0.5) * std::cos((2.0 * static_cast<double>(x) + 1) * static_cast<double>(u) * pi / 16);
}

int64_t slow_source(int64_t j, int64_t size, ops::Padding padding) {
  if (padding == ops::Padding::kEdge) return std::clamp<int64_t>(j, 0, size - 1);
  if (padding == ops::Padding::kConstant || size == 1)
    return j >= 0 && j < size ? j : (padding == ops::Padding::kConstant ? -1 : 0);
  while (j < 0 || j >= size) {  // one mirror after the other
    const int64_t edge = padding == ops::Padding::kSymmetric ? 1 : 0;
    j = j < 0 ? -j - edge : 2 * size - 2 + edge - j;
  }
  return j;
}

// [n][pixels up to the last that exists], by the definition.
Matrix slow_rows(const ops::Axis& axis) {
  Matrix out = zeros(axis.n, static_cast<size_t>(axis.end));
  const double s = (axis.b - axis.a) / axis.n, r = std::max(std::fabs(s), 1.0);
  for (uint32_t i = 0; i < axis.n; ++i) {
    const double c = std::clamp(axis.a + (i + 0.5) * s, axis.lo, axis.hi);
    double sum = 0;
    for (int pass = 0; pass < 2; ++pass) {
      for (auto j = static_cast<int64_t>(axis.lo); j < static_cast<int64_t>(axis.hi); ++j) {
        const double w = std::max(0.0, 1 - std::fabs(static_cast<double>(j) + 0.5 - c) / r);
        if (pass == 0) sum += w;
        const int64_t at = slow_source(j - axis.begin, axis.end - axis.begin, axis.padding);
        if (pass == 1 && at >= 0) out[i][static_cast<size_t>(axis.begin + at)] += w / sum;
      }
    }
  }
  return out;
}

ops::Axis random_axis(Random& random) {
  ops::Axis axis;
  const int64_t whole = 1 + random.below(200);
  axis.end = whole;
  axis.n = 1 + random.below(90);
  axis.padding = static_cast<ops::Padding>(random.below(4));
  const auto size = static_cast<double>(whole);
  switch (random.below(3)) {
    case 0:
      axis.a = uniform(random, 0, size);
      axis.b = uniform(random, 0, size);
      axis.lo = 0;
      axis.hi = size;
      break;
    case 1:
      axis.a = axis.lo = random.below(static_cast<uint32_t>(whole));
      axis.b = axis.hi = axis.lo + 1 + random.below(static_cast<uint32_t>(size - axis.lo));
      break;
    default:
      axis.a = uniform(random, -2 * size - 30, 2 * size + 30);
      axis.b = axis.a + uniform(random, 0.1, 2 * size);
      axis.lo = std::floor(axis.a);
      axis.hi = std::ceil(axis.b);
  }
  if (random.below(2) == 0) std::swap(axis.a, axis.b);
  if (random.below(3) == 0) {  // the middle of the image alone exists
    axis.begin = random.below(static_cast<uint32_t>(whole));
    axis.end = axis.begin + 1 + random.below(static_cast<uint32_t>(whole - axis.begin));
  }
  axis.count = (whole + 7) / 8;
  axis.outputs = 1 + random.below(8);
  axis.pixels = random.below(3) == 0;
  if (axis.pixels) axis.outputs = 8;
  return axis;
}

struct Picture3 {
  Bytes batch;
  std::vector<Matrix> pixels;  // by component, of whole blocks, level-shifted
};

// One image of noise that falls with the frequency.
Picture3 make_picture(Random& random, uint32_t width, uint32_t height, const std::vector<std::pair<uint8_t, uint8_t>>& factors) {
  const Header header = header_of(random, width, height, factors, 20);
  Picture3 out;
  std::vector<std::vector<int16_t>> planes;
  for (size_t k = 0; k < factors.size(); ++k) {
    const size_t rows = header.components[k].block_rows, cols = header.components[k].block_cols;
    std::vector<int16_t>& plane = planes.emplace_back(64 * rows * cols);
    Matrix& pixels = out.pixels.emplace_back(zeros(8 * rows, 8 * cols));
    for (size_t f = 0; f < 64; ++f) {
      const size_t v = f / 8, u = f % 8;
      const int most = f == 0 ? 40 : 40 / static_cast<int>(1 + v + u);
      for (size_t block = 0; block < rows * cols; ++block) {
        if (f > 20 && random.below(8) != 0) continue;
        const int value = random.between(-most, most);
        plane[f * rows * cols + block] = static_cast<int16_t>(value);
        const double x = value * static_cast<double>(header.components[k].quantization[f]);
        for (size_t p = 0; p < 64 && value != 0; ++p) {
          pixels[8 * (block / cols) + p / 8][8 * (block % cols) + p % 8] += dct(v, p / 8) * x * dct(u, p % 8);
        }
      }
    }
  }
  out.batch = batch_of({record_of(header, planes)});
  return out;
}

// down * pixels * across^T over the true size, which both matrices' columns are.
Matrix product(const Matrix& down, const Matrix& pixels, const Matrix& across) {
  Matrix half = zeros(down.size(), across[0].size()), out = zeros(down.size(), across.size());
  for (size_t i = 0; i < down.size(); ++i) {
    for (size_t j = 0; j < down[0].size(); ++j) {
      for (size_t x = 0; x < half[0].size() && down[i][j] != 0; ++x) half[i][x] += down[i][j] * pixels[j][x];
    }
    for (size_t o = 0; o < across.size(); ++o) {
      for (size_t x = 0; x < half[0].size(); ++x) out[i][o] += half[i][x] * across[o][x];
    }
  }
  return out;
}

}  // namespace

TEST(an_axis_is_d_r_d_by_its_definition) {
  Random random(1);
  for (int trial = 0; trial < 400; ++trial) {
    const ops::Axis axis = random_axis(random);
    const Matrix rows = slow_rows(axis);
    ops::AxisOperator op;
    op.build(axis);
    REQUIRE(op.blocks() == (axis.n + 7) / 8);
    for (uint32_t o = 0; o < op.blocks(); ++o) {
      const ops::Support support = op.supports()[o];
      REQUIRE(support.first + support.count <= axis.count);
      CHECK(support.count == 0 || (op.begin() <= support.first && support.first + support.count <= op.end()));
      for (uint32_t v = 0; v < axis.outputs; ++v) {
        double sum = 0;
        for (int64_t block = 0; block < axis.count; ++block) {
          for (size_t w = 0; w < 8; ++w) {
            double want = 0;
            for (size_t p = 0; p < 8; ++p) {
              const std::vector<double>& row = rows[std::min(8 * o + p, rows.size() - 1)];
              const double left = axis.pixels ? static_cast<double>(p == v) : dct(v, p);
              for (size_t q = 0; q < 8; ++q) {
                const size_t pixel = 8 * static_cast<size_t>(block) + q;
                if (pixel >= row.size()) continue;
                want += left * row[pixel] * dct(w, q);
                if (w == 0) sum += left * row[pixel];
              }
            }
            const int64_t tap = block - support.first;
            const double got = tap < 0 || tap >= support.count
                                   ? 0
                                   : op.weights()[support.at + (static_cast<size_t>(tap) * op.rows() + v) * 8 + w];
            CHECK(std::fabs(got - want) < 2e-6);
          }
        }
        CHECK(std::fabs(op.sums()[8 * o + v] - sum) < 2e-5);
      }
    }
  }
}

TEST(blocks_that_are_not_at_hand_have_no_weight) {
  ops::Axis axis;
  axis.b = axis.hi = 200;
  axis.end = 200;
  axis.n = 100;
  axis.first = 5;
  axis.count = 3;
  ops::AxisOperator op;
  op.build(axis);
  CHECK_EQ(op.begin(), 0u);
  CHECK_EQ(op.end(), 3u);
  for (uint32_t o = 0; o < op.blocks(); ++o) CHECK(op.supports()[o].first + op.supports()[o].count <= 3);
  CHECK_EQ(op.supports()[0].count, 0u);
  CHECK_EQ(op.supports()[9].count, 0u);
}

TEST(images_are_the_dense_product) {
  Random random(2);
  const std::vector<std::vector<std::pair<uint8_t, uint8_t>>> samplings = {
      {{1, 1}}, {{1, 1}, {1, 1}, {1, 1}}, {{2, 2}, {1, 1}, {1, 1}}, {{2, 1}, {1, 1}, {1, 1}}, {{1, 1}, {2, 2}, {1, 2}}};
  for (int trial = 0; trial < 40; ++trial) {
    const auto& factors = samplings[static_cast<size_t>(trial) % samplings.size()];
    const uint32_t width = 1 + random.below(120), height = 1 + random.below(120);
    const Picture3 picture = make_picture(random, width, height, factors);
    ops::Resampling job;
    const double box[4] = {uniform(random, 0, height), uniform(random, 0, height), uniform(random, 0, width),
                           uniform(random, 0, width)};
    const double valid[4] = {0, static_cast<double>(height), 0, static_cast<double>(width)};
    const uint8_t transposed = trial % 2;
    const double rows = random.below(height), columns = random.below(width);
    const double present[4] = {rows, rows + 1 + random.below(height), columns, columns + 1 + random.below(width)};
    job.box = box;
    job.valid = valid;
    job.present = present;
    job.padding = static_cast<ops::Padding>(random.below(4));
    job.transposed = &transposed;
    job.height = 1 + random.below(70);
    job.width = 1 + random.below(70);
    const size_t plane = size_t{job.height} * job.width;
    std::vector<float> out(3 * plane);
    job.out = out.data();
    uint8_t h_max = 1, v_max = 1;
    for (const auto& [h, v] : factors) h_max = std::max(h_max, h), v_max = std::max(v_max, v);
    for (const ops::OpsKernels* level : ops_levels()) {
      ops::Resampler resampler(trial % 3 + 1, *level);
      std::fill(out.begin(), out.end(), std::nanf(""));
      REQUIRE(resampler.resample(picture.batch, 1, job) == ops::Status::kOk);
      for (size_t k = 0; k < 3; ++k) {
        Matrix want = zeros(transposed ? job.width : job.height, transposed ? job.height : job.width);
        if (k < factors.size()) {
          ops::Axis down, across;
          ops::set_range(down, box, valid, present, height, factors[k].second, v_max);
          ops::set_range(across, box + 2, valid + 2, present + 2, width, factors[k].first, h_max);
          down.n = static_cast<uint32_t>(want.size());
          across.n = static_cast<uint32_t>(want[0].size());
          down.padding = across.padding = job.padding;
          want = product(slow_rows(down), picture.pixels[k], slow_rows(across));
        }
        double worst = 0;
        for (size_t y = 0; y < job.height; ++y) {
          for (size_t x = 0; x < job.width; ++x) {
            const double error = std::fabs(out[k * plane + y * job.width + x] - (transposed ? want[x][y] : want[y][x]));
            if (!(error <= worst)) worst = error;
          }
        }
        CHECK(worst < 2e-3);
      }
    }
  }
}

TEST(where_nothing_exists_all_is_padding) {
  Random random(4);
  const Picture3 picture = make_picture(random, 40, 30, {{2, 2}, {1, 1}, {1, 1}});
  const double box[4] = {-3, 28, 0, 40}, valid[4] = {-3, 30, 0, 40}, present[4] = {0, 30, 45, 60};  // right of the image
  const float fill[3] = {9, -8, 7};
  const uint8_t transposed = 0;
  ops::Resampling job;
  job.box = box;
  job.valid = valid;
  job.present = present;
  job.fill = fill;
  job.transposed = &transposed;
  std::vector<float> out(3 * 64);
  job.out = out.data();
  for (const ops::OpsKernels* level : ops_levels()) {
    for (int padding = 0; padding < 4; ++padding) {
      job.padding = static_cast<ops::Padding>(padding);
      std::fill(out.begin(), out.end(), std::nanf(""));
      REQUIRE(ops::Resampler(1, *level).resample(picture.batch, 1, job) == ops::Status::kOk);
      for (size_t i = 0; i < out.size(); ++i) CHECK(std::fabs(out[i] - (padding == 0 ? fill[i / 64] : 0)) < 1e-5);
    }
  }
}

TEST(a_batch_that_is_none_and_a_place_outside_it_are_refused) {
  Random random(3);
  const Picture3 picture = make_picture(random, 20, 20, {{1, 1}});
  const double box[8] = {0, 20, 0, 20, 0, 20, 0, 20};
  const uint8_t transposed[2] = {};
  const int64_t outside[2] = {0, 1}, before[2] = {-1, 0};
  std::vector<float> out(2 * 3 * 64);
  ops::Resampling job;
  job.box = job.valid = box;
  job.transposed = transposed;
  job.out = out.data();
  ops::Resampler resampler(1);
  CHECK(resampler.resample(picture.batch, 1, job) == ops::Status::kOk);
  CHECK(resampler.resample(picture.batch, 2, job) == ops::Status::kBadImage);
  job.images = outside;
  CHECK(resampler.resample(picture.batch, 2, job) == ops::Status::kBadImage);
  job.images = before;
  CHECK(resampler.resample(picture.batch, 2, job) == ops::Status::kBadImage);
  CHECK(resampler.resample(Bytes(100), 0, job) == ops::Status::kBadBatch);
  CHECK(resampler.resample({}, 0, job) == ops::Status::kBadBatch);
}

// Nothing but damage makes one; it leaves no tiles to take an address of.
TEST(an_rgb_record_without_columns_is_zero) {
  Random random(6);
  Picture3 picture = make_picture(random, 40, 30, {{1, 1}, {1, 1}, {1, 1}});
  uint8_t* const record =
      picture.batch.data() + load_from<wire::ImageEntry>(picture.batch.data() + wire::kHeaderBytes).record_offset;
  record[offsetof(wire::RecordHeader, color)] = static_cast<uint8_t>(ColorSpace::kRgb);
  for (size_t k = 0; k < 3; ++k) {
    uint8_t* const component = record + wire::kHeaderBytes + wire::kComponentBytes * k;
    std::memset(component + offsetof(wire::ComponentRecord, w), 0, 2);
    std::memset(component + offsetof(wire::ComponentRecord, tiles_x), 0, 2);
  }
  const double box[4] = {0, 30, 0, 40};
  const uint8_t transposed = 0;
  ops::Resampling job;
  job.box = job.valid = box;
  job.transposed = &transposed;
  std::vector<float> out(3 * 64);
  job.out = out.data();
  for (const ops::OpsKernels* level : ops_levels()) {
    std::fill(out.begin(), out.end(), std::nanf(""));
    REQUIRE(ops::Resampler(1, *level).resample(picture.batch, 1, job) == ops::Status::kOk);
    for (const float x : out) CHECK_EQ(x, 0.0f);
  }
}

TEST(damaged_batches_stay_inside_their_bytes) {
  Random random(5);
  const Picture3 picture = make_picture(random, 150, 100, {{2, 2}, {1, 1}, {1, 1}});
  const double box[4] = {-20, 130, 190, -10}, valid[4] = {-20, 130, -10, 190};
  const uint8_t transposed = 0;
  ops::Resampling job;
  job.box = box;
  job.valid = valid;
  job.transposed = &transposed;
  job.height = job.width = 64;
  job.padding = ops::Padding::kReflect;
  job.channels = Selection{0x0F0F0F0F, 0x0303, 0x0303};
  std::vector<float> out(24 * 64);
  job.out = out.data();
  std::deque<ops::Resampler> resamplers;
  for (const ops::OpsKernels* level : ops_levels()) resamplers.emplace_back(1, *level);
  int refused = 0;
  for (int trial = 0; trial < 600; ++trial) {
    Bytes batch = picture.batch;
    const auto most = static_cast<uint32_t>(trial % 2 == 0 ? 1100 : batch.size());
    for (int n = 0; n < 4; ++n) batch[random.below(most)] = static_cast<uint8_t>(random());
    bool is_refused = false;
    for (ops::Resampler& resampler : resamplers) is_refused |= resampler.resample(batch, 1, job) != ops::Status::kOk;
    refused += is_refused;
  }
  CHECK(refused > 25 && refused < 600);
}

TEST_MAIN()
