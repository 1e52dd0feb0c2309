#include <string>

#include "batch.h"
#include "bindings.h"
#include "cpu.h"
#include "record_view.h"

namespace dctload::python {
namespace {

using Records = std::vector<std::span<const uint8_t>>;

// Every function below that takes a batch checks it again, checksums included: its bytes lie in an array that Python can write
// to.
WireFault open_batch(std::span<const uint8_t> batch, bool deep, Records& records) {
  const WireFault fault = check_batch(batch, deep);
  if (!fault.ok()) return fault;
  const auto header = load_from<wire::BatchHeader>(batch.data());
  records.reserve(header.images);
  for (uint64_t i = 0; i < header.images; ++i) {
    const auto entry = load_from<wire::ImageEntry>(batch.data() + wire::kHeaderBytes + wire::kEntryBytes * i);
    records.push_back(batch.subspan(entry.record_offset, entry.record_bytes));
  }
  return {};
}

// [(offset, bytes, status, error code, error offset)]
py::list facts_of(std::span<const uint8_t> batch, const Records& records) {
  py::list out(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    const auto h = load_from<wire::RecordHeader>(records[i].data());
    const auto offset = static_cast<uint64_t>(records[i].data() - batch.data());
    out[i] = py::make_tuple(offset, records[i].size(), h.status, h.error_code, h.error_offset);
  }
  return out;
}

// (fault or None, facts of the records)
py::tuple records_of(const py::object& source, bool deep) {
  const Buffer batch(source);
  Records records;
  WireFault fault;
  {
    const py::gil_scoped_release nogil;
    fault = open_batch(batch.bytes(), deep, records);
  }
  return py::make_tuple(to_tuple(fault), facts_of(batch.bytes(), records));
}

// The same of a batch that the core has just written: its checksums are not computed once more, only bounds are looked at.
py::list records_of_own(const py::object& source) {
  const Buffer buffer(source);
  const std::span<const uint8_t> batch = buffer.bytes();
  if (batch.size() < wire::kHeaderBytes) throw py::value_error("not a batch");
  Records records;
  const auto header = load_from<wire::BatchHeader>(batch.data());
  for (uint64_t i = 0; i < header.images; ++i) {
    const uint64_t entry_at = wire::kHeaderBytes + wire::kEntryBytes * i;
    if (entry_at + wire::kEntryBytes > batch.size()) throw py::value_error("not a batch");
    const auto entry = load_from<wire::ImageEntry>(batch.data() + entry_at);
    if (entry.record_offset > batch.size() || entry.record_bytes > batch.size() - entry.record_offset ||
        entry.record_bytes < wire::kHeaderBytes) {
      throw py::value_error("not a batch");
    }
    records.push_back(batch.subspan(entry.record_offset, entry.record_bytes));
  }
  return facts_of(batch, records);
}

// What the records of a batch say besides the coefficients, as arrays: (int64 [10][B], int64 [B][4], int64 [20][M], uint64 [M],
// uint16 [M][64]), the rows in the order of ImageFacts and ComponentFacts (dctload/ops/facts.py). The batch has been checked:
// only bounds are looked at.
py::tuple batch_facts(const py::object& source) {
  const Buffer buffer(source);
  const std::span<const uint8_t> batch = buffer.bytes();
  const auto at = [&](uint64_t offset, uint64_t size) {
    if (offset > batch.size() || size > batch.size() - offset) throw py::value_error("not a batch");
    return batch.data() + offset;
  };
  const auto header = load_from<wire::BatchHeader>(at(0, wire::kHeaderBytes));
  const uint64_t n = header.images, m = header.components;
  const uint8_t* const entries = at(wire::kHeaderBytes, wire::kEntryBytes * (n + m));
  auto [images, image_out] = table(10, n);
  auto [regions, region] = table(n, 4);
  auto [parts, part_out] = table(20, m);
  auto [masks, mask] = table<uint64_t>(m);
  auto [tables, quantization] = table<uint16_t>(m, 64);
  uint64_t k = 0;
  for (uint64_t i = 0; i < n; ++i) {
    const auto entry = load_from<wire::ImageEntry>(entries + wire::kEntryBytes * i);
    const auto r = load_from<wire::RecordHeader>(at(entry.record_offset, wire::kHeaderBytes));
    const bool alive = r.num_components > 0;  // of a failed image its code is known, and no more
    if (r.num_components > m - k) throw py::value_error("not a batch");
    const auto known = [&](int64_t value) { return alive ? value : 0; };
    const int64_t facts[10] = {static_cast<int64_t>(entry.record_offset),
                               known(r.width),
                               known(r.height),
                               known(r.orientation),
                               known(r.color),
                               known(r.process),
                               r.status,
                               alive ? 0 : r.error_code,
                               r.num_components,
                               entry.first_component};
    for (size_t f = 0; f < 10; ++f) image_out[f * n + i] = facts[f];
    for (size_t f = 0; f < 4; ++f) *region++ = known(r.region[f]);
    for (int64_t index = 0; index < r.num_components; ++index, ++k) {
      const auto place = load_from<wire::ComponentEntry>(entries + wire::kEntryBytes * (n + k));
      const uint64_t c_at = wire::kAlign * uint64_t{place.record_offset16};
      const auto c = load_from<wire::ComponentRecord>(at(c_at, wire::kComponentBytes));
      const auto record = static_cast<int64_t>(entry.record_offset);
      const int64_t own[20] = {static_cast<int64_t>(i),
                               c.index,
                               c.id,
                               c.h_factor,
                               c.v_factor,
                               c.block_rows,
                               c.block_cols,
                               c.x0,
                               c.y0,
                               c.w,
                               c.h,
                               c.skip_x,
                               c.skip_y,
                               c.tiles_x,
                               c.tiles_y,
                               c.channels,
                               record + c.table_offset,
                               record + c.payload_offset,
                               place.first_tile,
                               static_cast<int64_t>(place.first_value)};
      for (size_t f = 0; f < 20; ++f) part_out[f * m + k] = own[f];
      mask[k] = c.mask;
      std::memcpy(quantization + 64 * k, c.quantization, sizeof c.quantization);
    }
  }
  if (k != m) throw py::value_error("not a batch");
  return py::make_tuple(images, regions, parts, masks, tables);
}

std::optional<FaultTuple> check_record_of(const py::object& source, bool deep) {
  const Buffer record(source);
  WireFault fault;
  {
    const py::gil_scoped_release nogil;
    fault = check_record(record.bytes(), deep);
  }
  return to_tuple(fault);
}

uint32_t crc32c_of(const py::object& source, uint32_t crc) {
  const Buffer buffer(source);
  const py::gil_scoped_release nogil;
  return crc32c(chosen_kernels(), crc, buffer.bytes().data(), buffer.bytes().size());
}

// A batch of parts of `all`, which hold one record each.
py::array_t<uint8_t> join_parts(const Records& records) {
  const uint64_t size = joined_bytes(records);
  if (size == 0)
    throw py::value_error("the batch would be too large: 2^36 bytes or 2^31 tiles are the most; make smaller batches");
  py::array_t<uint8_t> out = aligned_empty(size);
  uint8_t* const data = out.mutable_data();
  {
    const py::gil_scoped_release nogil;
    join(records, data);
  }
  return out;
}

// (fault or None, batch or None)
py::tuple join_records(const py::list& sources) {
  const std::vector<Buffer> held = buffers(sources);
  const Records records = spans(held);
  WireFault fault;
  {
    const py::gil_scoped_release nogil;
    for (size_t i = 0; i < records.size() && fault.ok(); ++i) {
      fault = check_record(records[i]);
      fault.image = static_cast<int64_t>(i);
    }
  }
  if (!fault.ok()) return py::make_tuple(to_tuple(fault), py::none());
  return py::make_tuple(py::none(), join_parts(records));
}

// The parts of a batch's images that `ask(i, request)` asks for, as a batch: one thread, the road of stored records.
// (fault or None, first image that lacks what is asked of it or None, batch or None)
template <typename Ask>
py::tuple remake(const py::object& source, size_t count, const Ask& ask) {
  const Buffer batch(source);
  Records records;
  WireFault fault;
  {
    const py::gil_scoped_release nogil;
    fault = open_batch(batch.bytes(), false, records);
  }
  if (!fault.ok()) return py::make_tuple(to_tuple(fault), py::none(), py::none());
  if (count != records.size()) throw py::value_error("one entry an image");
  std::vector<Request> requests(count);
  for (size_t i = 0; i < count; ++i) {
    Request& r = requests[i];
    r.bytes = records[i];
    r.is_record = r.payload_checked = true;
    ask(i, r);
  }
  Extractor extractor(1);
  uint64_t size;
  {
    const py::gil_scoped_release nogil;
    size = extractor.decode(requests, {});
  }
  for (size_t i = 0; i < count; ++i) {
    const bool had_failed = load_from<wire::RecordHeader>(records[i].data()).status == wire::kStatusFailed;
    if (!extractor.outcome(i).result.ok() && !had_failed) return py::make_tuple(py::none(), i, py::none());
  }
  py::array_t<uint8_t> out = aligned_empty(size);
  uint8_t* const data = out.mutable_data();
  {
    const py::gil_scoped_release nogil;
    extractor.write(data);
  }
  return py::make_tuple(py::none(), py::none(), out);
}

py::tuple select(const py::object& batch, const std::vector<MasksTuple>& selections) {
  return remake(batch, selections.size(), [&](size_t i, Request& r) { r.selection = to_selection(selections[i]); });
}

py::tuple cut(const py::object& batch, const std::vector<std::optional<BoxTuple>>& boxes) {
  return remake(batch, boxes.size(), [&](size_t i, Request& r) {
    r.all_channels = true;
    r.has_region = boxes[i].has_value();
    if (boxes[i]) r.region = to_box(*boxes[i]);
  });
}

Box own_region(const wire::RecordHeader& h) { return {h.region[0], h.region[1], h.region[2], h.region[3]}; }

// (header, region, masks, status, valid_mcus) of a record, without its coefficients; None for a failed image. Bounds are checked,
// no more.
py::object describe(const py::object& source) {
  const Buffer buffer(source);
  const std::span<const uint8_t> record = buffer.bytes();
  const auto h = record.size() < wire::kHeaderBytes ? wire::RecordHeader{} : load_from<wire::RecordHeader>(record.data());
  if (std::string(h.magic, 4) != "DCTI" || h.num_components > kMaxComponents ||
      record.size() < wire::kHeaderBytes + wire::kComponentBytes * h.num_components) {
    throw py::value_error("not an image record");
  }
  if (h.num_components == 0) return py::none();
  const RecordView view(record);
  ComponentMasks masks{};
  for (uint32_t i = 0; i < h.num_components; ++i) masks[i] = view.components[i].mask;
  return py::make_tuple(to_tuple(record_facts(record)), to_tuple(own_region(h)), masks_tuple(masks, h.num_components), h.status,
                        h.valid_mcus);
}

// (fault or None, [(header, region, masks, planes, status, valid_mcus) or None])
py::tuple unpack(const py::object& source) {
  const Buffer batch(source);
  Records records;
  WireFault fault;
  {
    const py::gil_scoped_release nogil;
    fault = open_batch(batch.bytes(), false, records);
  }
  py::list out(records.size());
  for (size_t image = 0; image < records.size(); ++image) {
    const RecordView view(records[image]);
    const uint32_t n = view.header.num_components;
    if (n == 0) {
      out[image] = py::none();
      continue;
    }
    ComponentMasks masks{};
    py::tuple arrays(n);
    for (uint32_t i = 0; i < n; ++i) {
      const wire::ComponentRecord& c = view.components[i];
      masks[i] = c.mask;
      py::array_t<int16_t> array = zero_planes(c.channels, c.h, c.w, 0);
      int16_t* const planes = array.mutable_data();
      {
        const py::gil_scoped_release nogil;
        unpack_component(records[image], static_cast<int>(i), planes);
      }
      arrays[i] = std::move(array);
    }
    out[image] = py::make_tuple(to_tuple(record_facts(records[image])), to_tuple(own_region(view.header)), masks_tuple(masks, n),
                                arrays, view.header.status, view.header.valid_mcus);
  }
  return py::make_tuple(to_tuple(fault), out);
}

// (result, image bytes). `planes`: int16 [64][block_rows][block_cols], C-contiguous, one a component of `facts`.
py::tuple pack(const py::list& planes, const py::tuple& facts, int status, uint32_t valid_mcus) {
  const Header header = to_header(facts);
  if (planes.size() != header.num_components) throw py::value_error("one array of planes a component");
  const std::vector<Buffer> held = buffers(planes);
  std::vector<const int16_t*> pointers;
  for (uint32_t i = 0; i < header.num_components; ++i) {
    const Component& c = header.components[i];
    const auto bytes = held[i].bytes();
    if (bytes.size() != size_t{64} * c.block_rows * c.block_cols * sizeof(int16_t))
      throw py::value_error("planes of another size than the header's");
    if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(int16_t) != 0) throw py::value_error("planes at an odd address");
    pointers.push_back(reinterpret_cast<const int16_t*>(bytes.data()));
  }
  Result result;
  std::vector<uint8_t> out;
  {
    const py::gil_scoped_release nogil;
    result = pack_planes(header, pointers.data(), out, static_cast<wire::Status>(status), valid_mcus);
  }
  return py::make_tuple(to_tuple(result), py::bytes(reinterpret_cast<const char*>(out.data()), out.size()));
}

// (image whose box is outside or None, bytes)
std::pair<std::optional<size_t>, uint64_t> bound(const py::list& headers, const std::vector<MasksTuple>& selections,
                                                 const std::vector<std::optional<BoxTuple>>& boxes) {
  if (selections.size() != headers.size() || boxes.size() != headers.size())
    throw py::value_error("one selection and one box an image");
  uint64_t bytes = wire::kHeaderBytes;
  for (size_t i = 0; i < headers.size(); ++i) {
    const Header header = to_header(headers[i].cast<py::tuple>());
    const Box box = boxes[i] ? to_box(*boxes[i]) : Box{};
    Region region;
    if (!snap(header, boxes[i] ? &box : nullptr, region).ok()) return {i, 0};
    bytes += wire::kEntryBytes * (1 + uint64_t{header.num_components});
    bytes += record_bound(header, component_masks(header, to_selection(selections[i])), region);
  }
  return {std::nullopt, bytes};
}

void bind_constants(py::module_& m) {
  m.attr("WIRE_MAJOR") = wire::kMajor;
  m.attr("WIRE_MINOR") = wire::kMinor;
  m.attr("ALIGN") = wire::kAlign;
  m.attr("MAX_RECORD_BYTES") = wire::kMaxRecordBytes;
  m.attr("MAX_BATCH_BYTES") = wire::kMaxBatchBytes;
  m.attr("MAX_TILES") = wire::kMaxTiles;
  m.attr("MAX_TILE_BYTES") = wire::kMaxTileBytes;
  m.attr("MAX_GRID") = wire::kMaxGrid;
  m.attr("TILE_BLOCKS") = wire::kTileBlocks;
  m.attr("TILE_SIDE") = wire::kTileSide;
  m.attr("STATUS_FAILED") = static_cast<int>(wire::kStatusFailed);
  m.attr("ZIGZAG") = py::tuple(py::cast(kZigzag));
}

}  // namespace

void bind_wire(py::module_& m) {
  bind_constants(m);
  m.def("aligned_empty", &aligned_empty, py::arg("size"));
  m.def("crc32c", &crc32c_of, py::arg("buffer"), py::arg("crc") = 0);
  m.def("records", &records_of, py::arg("batch"), py::arg("deep") = false);
  m.def("records_of_own", &records_of_own, py::arg("batch"));
  m.def("batch_facts", &batch_facts, py::arg("batch"));
  m.def("check_record", &check_record_of, py::arg("record"), py::arg("deep") = false);
  m.def("join", &join_records, py::arg("records"));
  m.def("select", &select, py::arg("batch"), py::arg("selections"));
  m.def("cut", &cut, py::arg("batch"), py::arg("boxes"));
  m.def("describe", &describe, py::arg("record"));
  m.def("unpack", &unpack, py::arg("batch"));
  m.def("pack", &pack, py::arg("planes"), py::arg("facts"), py::arg("status"), py::arg("valid_mcus"));
  m.def("bound", &bound, py::arg("headers"), py::arg("selections"), py::arg("boxes"));
}

}  // namespace dctload::python
