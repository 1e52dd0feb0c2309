#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <string>

#include "batch.h"
#include "bindings.h"
#include "cpu.h"
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
  py::tuple arrays(n);
  std::array<int16_t*, kMaxComponents> planes{};
  for (uint32_t i = 0; i < n; ++i) {
    py::array_t<int16_t> array =
        zero_planes(static_cast<uint32_t>(std::popcount(masks[i])), region.blocks[i].h, region.blocks[i].w, 1);
    planes[i] = array.mutable_data();
    arrays[i] = std::move(array);
  }
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

// The core's Extractor with the buffers that it reads held alive, and safe to inherit by a forked child: the child has none of
// the threads, so there it starts new ones and leaves the parent's be. Not for use from two threads at once; the Python side
// locks.
class BatchExtractor {
 public:
  explicit BatchExtractor(unsigned num_threads) : num_threads_(num_threads) { start(); }
  ~BatchExtractor() { forget_parents(); }

  unsigned num_threads() const { return core_->num_threads(); }

  // One entry an image in each list; where `are_paths`, the source is the bytes of a path.
  uint64_t decode(const py::list& sources, const std::vector<bool>& are_paths, const std::vector<MasksTuple>& selections,
                  const std::vector<std::optional<BoxTuple>>& boxes, const LimitsTuple& limits, bool keep_truncated) {
    if (are_paths.size() != sources.size() || selections.size() != sources.size() || boxes.size() != sources.size()) {
      throw py::value_error("one kind, one selection and one box an image");
    }
    if (pid_ != getpid()) {
      forget_parents();
      start();
    }
    count_ = 0;
    held_.clear();
    held_ = buffers(sources);
    std::vector<Request> requests(sources.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      Request& r = requests[i];
      r.is_path = are_paths[i];
      if (r.is_path) {
        r.path.assign(reinterpret_cast<const char*>(held_[i].bytes().data()), held_[i].bytes().size());
      } else {
        r.bytes = held_[i].bytes();
      }
      r.selection = to_selection(selections[i]);
      r.has_region = boxes[i].has_value();
      if (boxes[i]) r.region = to_box(*boxes[i]);
    }
    const DecodeOptions options{to_limits(limits), keep_truncated};
    uint64_t bytes = 0;
    {
      const py::gil_scoped_release nogil;
      bytes = core_->decode(requests, options);
    }
    count_ = requests.size();
    bytes_ = bytes;
    return bytes;
  }

  // [(result, status, loss, valid_mcus, warnings)] of the last decode().
  py::list outcomes() const {
    py::list out(count_);
    for (size_t i = 0; i < count_; ++i) {
      const Outcome& o = core_->outcome(i);
      out[i] = py::make_tuple(to_tuple(o.result), static_cast<int>(o.status), to_tuple(o.loss), o.valid_mcus, o.warnings);
    }
    return out;
  }

  void write(const py::object& out) {
    const Buffer to(out, true);
    if (bytes_ == 0) throw py::value_error("nothing was decoded");
    if (to.bytes().size() < bytes_) throw py::value_error("the buffer is too small");
    if (reinterpret_cast<uintptr_t>(to.bytes().data()) % wire::kAlign != 0) throw py::value_error("the buffer is not 16-aligned");
    {
      const py::gil_scoped_release nogil;
      core_->write(to.writable_bytes().data());
    }
    forget();
  }

  // Lets the sources of the last decode() go.
  void forget() {
    held_.clear();
    bytes_ = 0;
  }

 private:
  void start() {
    core_ = std::make_unique<Extractor>(num_threads_);
    pid_ = getpid();
  }
  void forget_parents() {
    if (core_ != nullptr && pid_ != getpid()) (void)core_.release();  // joining threads that are not here would never end
  }

  unsigned num_threads_;
  std::unique_ptr<Extractor> core_;
  pid_t pid_ = 0;
  std::vector<Buffer> held_;
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
  py::class_<BatchExtractor>(module, "BatchExtractor")
      .def(py::init<unsigned>(), py::arg("num_threads"))
      .def_property_readonly("num_threads", &BatchExtractor::num_threads)
      .def("decode", &BatchExtractor::decode, py::arg("sources"), py::arg("are_paths"), py::arg("selections"), py::arg("boxes"),
           py::arg("limits"), py::arg("keep_truncated"))
      .def("outcomes", &BatchExtractor::outcomes)
      .def("write", &BatchExtractor::write, py::arg("out"))
      .def("forget", &BatchExtractor::forget);
}

}  // namespace dctload::python
