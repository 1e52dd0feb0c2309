#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <string>
#include <variant>

#include "batch.h"
#include "bindings.h"
#include "cpu.h"
#include "file_store.h"
#include "image.h"
#include "record_view.h"

namespace dctload::python {
namespace {

// A first scan codes at least one whole component: 2 bits a block in a sequential one (a DC and an EOB code), 1 in a progressive
// one. A file that is too small for that is cut, and no planes need be allocated to find it out.
bool too_small(std::span<const uint8_t> file, const Header& header, const Region& region) {
  uint64_t least = UINT64_MAX;
  for (uint32_t i = 0; i < header.num_components; ++i) {
    const BlockRect& r = region.blocks[i];  // decoding stops below the region
    least = std::min(least, uint64_t{r.y0 + r.h} * header.components[i].block_cols);
  }
  const uint64_t blocks_a_byte = header.process == Process::kProgressive ? 8 : 4;
  return file.size() < least / blocks_a_byte;
}

// By component int16 [channels][rows][cols] of zeros, in one block of memory; behind each lies the plane of scratch that the
// decoder asks for. Pages that nobody touches cost nothing.
py::tuple plane_block(const Region& region, const ComponentMasks& masks, uint32_t n,
                      std::array<int16_t*, kMaxComponents>& planes) {
  std::array<size_t, kMaxComponents + 1> starts{};  // at most 4 x 65 planes of 8192 x 8192 blocks: no overflow in 64 bits
  for (uint32_t i = 0; i < n; ++i) {
    const size_t values = (static_cast<size_t>(std::popcount(masks[i])) + 1) * region.blocks[i].h * region.blocks[i].w;
    starts[i + 1] = starts[i] + (values + 31) / 32 * 32;  // each begins on a cache line
  }
  auto* const memory = static_cast<int16_t*>(std::calloc(std::max<size_t>(starts[n], 1), sizeof(int16_t)));
  if (memory == nullptr) throw std::bad_alloc();
  const py::capsule owner(memory, [](void* p) { std::free(p); });
  py::tuple arrays(n);
  for (uint32_t i = 0; i < n; ++i) {
    planes[i] = memory + starts[i];
    const std::array<py::ssize_t, 3> shape = {std::popcount(masks[i]), region.blocks[i].h, region.blocks[i].w};
    arrays[i] = py::array_t<int16_t>(shape, planes[i], owner);
  }
  return arrays;
}

// (result, None) or (result, (header, region, masks, planes, status, loss, valid_mcus, warnings))
py::tuple decode(const py::object& source, const MasksTuple& selection, const std::optional<BoxTuple>& box,
                 const LimitsTuple& limits, bool keep_truncated) {
  const Buffer source_bytes(source);
  const std::span<const uint8_t> file = source_bytes.bytes();
  const DecodeOptions options{to_limits(limits), keep_truncated};
  Header header;
  Region region;
  Result result;
  {
    const py::gil_scoped_release nogil;
    uint32_t warnings = 0;
    result = read_header(file, options.limits, header, warnings);
    if (result.ok()) {
      const Box wanted = box ? to_box(*box) : Box{};
      result = snap(header, box ? &wanted : nullptr, region);
    }
    if (result.ok() && !keep_truncated && too_small(file, header, region)) result = {Code::kDataTruncated, 0, file.size()};
  }
  if (!result.ok()) return py::make_tuple(to_tuple(result), py::none());

  const ComponentMasks masks = component_masks(header, to_selection(selection));
  const uint32_t n = header.num_components;
  std::array<int16_t*, kMaxComponents> planes{};
  const py::tuple arrays = plane_block(region, masks, n, planes);
  Outcome outcome;
  {
    const py::gil_scoped_release nogil;
    ImageDecoder decoder(chosen_kernels());
    outcome = decoder.decode_planes(file, region, masks, planes, options, header);
  }
  if (!outcome.result.ok()) return py::make_tuple(to_tuple(outcome.result), py::none());
  const py::tuple image =
      py::make_tuple(to_tuple(header), to_tuple(region.pixels), masks_tuple(masks, n), arrays, static_cast<int>(outcome.status),
                     to_tuple(outcome.loss), outcome.valid_mcus, outcome.warnings);
  return py::make_tuple(to_tuple(outcome.result), image);
}

// A Result's detail for Python: -1 where it is not known.
int64_t known_detail(const Result& result) { return result.detail == kUnknownDetail ? -1 : int64_t{result.detail}; }

// What Python hands over as a list of sources: a str is a path, all else has a buffer. The buffers are held.
struct SourceList {
  SourceList() = default;
  explicit SourceList(const py::list& objects) : sources(objects.size()) {
    held.reserve(objects.size());
    for (size_t i = 0; i < sources.size(); ++i) {
      const py::handle object = objects[i];
      if (PyUnicode_Check(object.ptr())) {
        const py::bytes path = py::reinterpret_steal<py::bytes>(PyUnicode_EncodeFSDefault(object.ptr()));
        if (!path) throw py::error_already_set();
        sources[i].path = path;
        sources[i].is_path = true;
      } else {
        held.emplace_back(object);
        sources[i].bytes = held.back().bytes();
      }
    }
  }

  std::vector<Source> sources;
  std::vector<Buffer> held;
};

using Masks = std::variant<MasksTuple, py::array_t<uint64_t, py::array::c_style>>;  // y, cb, cr of all images, or of each
using BoxTable = py::array_t<int64_t, py::array::c_style>;  // top, left, height, width by image; height 0: all of it
using Column = py::array_t<int64_t, py::array::c_style>;
using Flags = py::array_t<bool, py::array::c_style>;

// [rows][cols] numbers, as many rows as images.
template <typename T>
const T* checked_rows(const py::array_t<T, py::array::c_style>& table, size_t images, py::ssize_t cols) {
  if (table.ndim() != 2 || static_cast<size_t>(table.shape(0)) != images || table.shape(1) != cols) {
    throw py::value_error("one row an image");
  }
  return table.data();
}

// The core's OpenFiles with the buffers that they point into. In a forked child the parent's memory pool is never touched: a
// thread that is not there may have held its lock.
class OpenBatch {
 public:
  OpenBatch(OpenFiles files, std::vector<Buffer> held, const Limits& limits)
      : limits(limits), held_(std::move(held)), files_(new OpenFiles(std::move(files))), pid_(getpid()) {}
  ~OpenBatch() {
    if (pid_ != getpid()) (void)files_.release();
  }
  OpenBatch(const OpenBatch&) = delete;
  OpenBatch& operator=(const OpenBatch&) = delete;

  const OpenFiles& files() const { return *files_; }

  // (int64 [10][B]: code, width, height, orientation, process, color, num_components, detail, offset, file bytes;
  //  int64 [2][B][4]: h, v)
  py::tuple headers() const {
    const size_t n = files_->size();
    auto [facts, fact] = table(10, n);
    auto [factors, factor] = table(2, n, kMaxComponents);
    for (size_t i = 0; i < n; ++i) {
      const Result& r = files_->result(i);
      const FrameFacts& f = files_->facts(i);
      const int64_t column[10] = {static_cast<int64_t>(r.code),
                                  f.width,
                                  f.height,
                                  f.orientation,
                                  static_cast<int64_t>(f.process),
                                  static_cast<int64_t>(f.color),
                                  f.num_components,
                                  known_detail(r),
                                  static_cast<int64_t>(r.offset),
                                  static_cast<int64_t>(files_->bytes(i).size())};
      for (size_t k = 0; k < 10; ++k) fact[k * n + i] = column[k];
      std::copy(f.h.begin(), f.h.end(), factor + i * kMaxComponents);
      std::copy(f.v.begin(), f.v.end(), factor + (n + i) * kMaxComponents);
    }
    return py::make_tuple(facts, factors);
  }

  py::bytes bytes(size_t i) const {
    if (i >= files_->size()) throw py::index_error("no such file");
    const std::span<const uint8_t> file = files_->bytes(i);
    return py::bytes(reinterpret_cast<const char*>(file.data()), file.size());
  }

  const Limits limits;

 private:
  std::vector<Buffer> held_;
  std::unique_ptr<OpenFiles> files_;
  pid_t pid_;
};

// The core's Extractor with the buffers that it reads held alive, and safe to inherit by a forked child: the child has none of
// the threads, so there it starts new ones and leaves the parent's be. Not for use from two threads at once; the Python side
// locks.
class BatchExtractor {
 public:
  explicit BatchExtractor(unsigned num_threads) : num_threads_(num_threads) { start(); }
  ~BatchExtractor() { forget_parents(); }

  unsigned num_threads() const { return core_->num_threads(); }

  std::shared_ptr<OpenBatch> open(const py::list& objects, const LimitsTuple& limits) {
    after_fork();
    SourceList list(objects);
    const Limits bounds = to_limits(limits);
    OpenFiles files;
    {
      const py::gil_scoped_release nogil;
      files = core_->open(list.sources, bounds);
    }
    return std::make_shared<OpenBatch>(std::move(files), std::move(list.held), bounds);
  }

  // Image i is a record: `nbytes[i]` bytes from `offset[i]` on in `buffers[shard[i]]`. One that would pass the buffer's end is
  // opened without bytes, and so found damaged.
  std::shared_ptr<OpenBatch> open_records(const py::list& buffers_list, const Column& shard, const Column& offset,
                                          const Column& nbytes) {
    after_fork();
    std::vector<Buffer> held = buffers(buffers_list);
    const std::vector<std::span<const uint8_t>> files = spans(held);
    const auto count = static_cast<size_t>(shard.size());
    if (static_cast<size_t>(offset.size()) != count || static_cast<size_t>(nbytes.size()) != count) {
      throw py::value_error("one shard, offset and size an image");
    }
    std::vector<Source> sources(count);
    OpenFiles opened;
    {
      const int64_t *const shards = shard.data(), *const offsets = offset.data(), *const sizes = nbytes.data();
      const py::gil_scoped_release nogil;
      for (size_t i = 0; i < count; ++i) {
        const auto place = static_cast<uint64_t>(shards[i]), at = static_cast<uint64_t>(offsets[i]),
                   size = static_cast<uint64_t>(sizes[i]);
        sources[i].is_record = true;
        if (place >= files.size()) continue;
        const std::span<const uint8_t> file = files[place];
        if (at <= file.size() && size <= file.size() - at) sources[i].bytes = file.subspan(at, size);
      }
      opened = core_->open(sources, {});
    }
    return std::make_shared<OpenBatch>(std::move(opened), std::move(held), Limits{});
  }

  // Bytes that write() needs, and the first image that failed.
  using Decoded = std::pair<uint64_t, std::optional<size_t>>;

  // One row an image in each table.
  Decoded decode(const py::list& objects, const Masks& masks, const std::optional<BoxTable>& boxes, const LimitsTuple& limits,
                 bool keep_truncated) {
    after_fork();
    forget();
    SourceList list(objects);
    held_ = std::move(list.held);
    std::vector<Request> requests(list.sources.size());
    for (size_t i = 0; i < requests.size(); ++i) static_cast<Source&>(requests[i]) = std::move(list.sources[i]);
    return run(requests, masks, boxes, {to_limits(limits), keep_truncated});
  }

  // Of opened files those at `places`; one row a place in each table. `checked`: of records, whose tiles have been checked
  // before.
  Decoded decode_open(std::shared_ptr<OpenBatch> batch, const Column& places, const Masks& masks,
                      const std::optional<BoxTable>& boxes, bool keep_truncated, const std::optional<Flags>& checked) {
    after_fork();
    forget();
    if (checked && checked->size() != places.size()) throw py::value_error("one row an image");
    std::vector<Request> requests;
    requests.reserve(static_cast<size_t>(places.size()));
    for (py::ssize_t i = 0; i < places.size(); ++i) {
      const auto place = static_cast<uint64_t>(places.data()[i]);
      if (place >= batch->files().size()) throw py::index_error("no such file");
      requests.push_back(batch->files().request(place));
      requests.back().payload_checked = checked && checked->data()[i];
    }
    const DecodeOptions options{batch->limits, keep_truncated};
    opened_ = std::move(batch);
    return run(requests, masks, boxes, options);
  }

  // int64 [n][3]: code, detail, offset of each image of the last decode.
  py::array_t<int64_t> outcomes() const {
    auto [out, to] = table(count_, 3);
    for (size_t i = 0; i < count_; ++i) {
      const Result& r = core_->outcome(i).result;
      *to++ = static_cast<int64_t>(r.code);
      *to++ = known_detail(r);
      *to++ = static_cast<int64_t>(r.offset);
    }
    return out;
  }

  // (bytes of the batch, int64 [n][5]: offset, bytes, status, error code, error offset of each record). The batch is shorter than
  // decode() said where a record was found damaged only now; outcomes() has it.
  std::pair<uint64_t, py::array_t<int64_t>> write(const py::object& out) {
    const Buffer to(out, true);
    if (bytes_ == 0) throw py::value_error("nothing was decoded");
    if (to.bytes().size() < bytes_) throw py::value_error("the buffer is too small");
    if (reinterpret_cast<uintptr_t>(to.bytes().data()) % wire::kAlign != 0) throw py::value_error("the buffer is not 16-aligned");
    auto [records, fact] = table(count_, 5);
    {
      const py::gil_scoped_release nogil;
      const uint8_t* const batch = to.writable_bytes().data();
      bytes_ = core_->write(to.writable_bytes().data());
      for (size_t i = 0; i < count_; ++i) {
        const auto entry = load_from<wire::ImageEntry>(batch + wire::kHeaderBytes + wire::kEntryBytes * i);
        const auto record = load_from<wire::RecordHeader>(batch + entry.record_offset);
        *fact++ = static_cast<int64_t>(entry.record_offset);
        *fact++ = entry.record_bytes;
        *fact++ = record.status;
        *fact++ = record.error_code;
        *fact++ = record.error_offset;
      }
    }
    return {bytes_, records};
  }

  // uint8 [size], 64-aligned, not initialised: memory of earlier batches that nobody holds any longer, so that a steady run of
  // batches asks the system for no pages.
  py::array_t<uint8_t> empty(uint64_t size) {
    if (size < PiecePool::kSmallest / 2) return aligned_empty(size);
    after_fork();
    auto lent = std::make_unique<Lent>(Lent{batches_, batches_->take(size + kLine), pid_});
    uint8_t* const data = lent->piece.data.get() + (-reinterpret_cast<uintptr_t>(lent->piece.data.get()) & (kLine - 1));
    const py::capsule owner(lent.release(), [](void* p) {
      const std::unique_ptr<Lent> back(static_cast<Lent*>(p));
      if (back->pid == getpid()) back->pool->give(std::move(back->piece));  // else a thread that is not here may hold its lock
    });
    return py::array_t<uint8_t>(static_cast<py::ssize_t>(size), data, owner);
  }

  // Lets the sources of the last decode go.
  void forget() {
    held_.clear();
    opened_.reset();
    bytes_ = 0;
    count_ = 0;
  }

 private:
  static constexpr size_t kLine = 64;  // a cache line; the format asks for 16

  // A batch's memory.
  struct Lent {
    std::shared_ptr<PiecePool> pool;
    Piece piece;
    pid_t pid;
  };

  Decoded run(std::vector<Request>& requests, const Masks& masks, const std::optional<BoxTable>& boxes,
              const DecodeOptions& options) {
    if (const auto* one = std::get_if<MasksTuple>(&masks)) {
      for (Request& r : requests) r.selection = to_selection(*one);
    } else {
      const uint64_t* mask = checked_rows(std::get<1>(masks), requests.size(), 3);
      for (Request& r : requests) {
        r.selection = {mask[0], mask[1], mask[2]};
        mask += 3;
      }
    }
    if (boxes) {
      const int64_t* box = checked_rows(*boxes, requests.size(), 4);
      for (Request& r : requests) {
        r.has_region = box[2] != 0;
        r.region = {static_cast<uint32_t>(box[0]), static_cast<uint32_t>(box[1]), static_cast<uint32_t>(box[2]),
                    static_cast<uint32_t>(box[3])};
        box += 4;
      }
    }
    {
      const py::gil_scoped_release nogil;
      bytes_ = core_->decode(requests, options);
    }
    count_ = requests.size();
    std::optional<size_t> failed;
    for (size_t i = 0; i < count_ && !failed; ++i) {
      if (!core_->outcome(i).result.ok()) failed = i;
    }
    return {bytes_, failed};
  }

  void start() {
    core_ = std::make_unique<Extractor>(num_threads_);
    batches_ = std::make_shared<PiecePool>();
    pid_ = getpid();
  }
  void forget_parents() {
    if (core_ == nullptr || pid_ == getpid()) return;
    (void)core_.release();  // joining threads that are not here would never end
  }
  void after_fork() {
    if (pid_ == getpid()) return;
    forget_parents();
    start();
  }

  unsigned num_threads_;
  std::unique_ptr<Extractor> core_;
  std::shared_ptr<PiecePool> batches_;
  pid_t pid_ = 0;
  std::vector<Buffer> held_;           // what decode() was given
  std::shared_ptr<OpenBatch> opened_;  // what decode_open() was given: records are read when they are written
  size_t count_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

void bind_decode(py::module_& module) {
  const Kernels* best = select_kernels();
  if (best == nullptr) {
    std::string names;
    for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
      if (supported(level)) names += (names.empty() ? "" : ", ") + std::string(kernels(level).name);
    }
    const std::string forced = std::getenv("DCTLOAD_FORCE_ISA");
    throw py::import_error("DCTLOAD_FORCE_ISA=" + forced +
                           " is no CPU level of this machine; unset it, or take one of: " + names);
  }
  const std::string name = best->name;
  module.def("cpu_level", [name] { return name; });
  module.def("decode", &decode, py::arg("source"), py::arg("selection"), py::arg("box"), py::arg("limits"),
             py::arg("keep_truncated"));
  py::class_<OpenBatch, std::shared_ptr<OpenBatch>>(module, "OpenBatch")
      .def("headers", &OpenBatch::headers)
      .def("bytes", &OpenBatch::bytes, py::arg("i"));
  py::class_<BatchExtractor>(module, "BatchExtractor")
      .def(py::init<unsigned>(), py::arg("num_threads"))
      .def_property_readonly("num_threads", &BatchExtractor::num_threads)
      .def("open", &BatchExtractor::open, py::arg("sources"), py::arg("limits"))
      .def("open_records", &BatchExtractor::open_records, py::arg("buffers"), py::arg("shard"), py::arg("offset"),
           py::arg("nbytes"))
      .def("decode", &BatchExtractor::decode, py::arg("sources"), py::arg("masks"), py::arg("boxes"), py::arg("limits"),
           py::arg("keep_truncated"))
      .def("decode_open", &BatchExtractor::decode_open, py::arg("batch"), py::arg("places"), py::arg("masks"), py::arg("boxes"),
           py::arg("keep_truncated"), py::arg("checked") = py::none())
      .def("outcomes", &BatchExtractor::outcomes)
      .def("empty", &BatchExtractor::empty, py::arg("size"))
      .def("write", &BatchExtractor::write, py::arg("out"))
      .def("forget", &BatchExtractor::forget);
}

}  // namespace dctload::python
