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
    r.is_record = r.meta_checked = r.payload_checked = true;
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
py::tuple pack(const py::list& planes, const py::tuple& facts) {
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
    result = pack_planes(header, pointers.data(), out);
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

// A struct's fields as {name: (offset, numpy's name of the type)}, so that no layout is written down twice.
#define FIELD(type, member, form) #member, std::make_pair(offsetof(wire::type, member), form)

template <typename... Rest>
void add_fields(py::dict& out, const char* name, const std::pair<size_t, const char*>& field, const Rest&... rest) {
  out[name] = field;
  if constexpr (sizeof...(rest) > 0) add_fields(out, rest...);
}

template <typename... Fields>
py::dict fields(const Fields&... all) {
  py::dict out;
  add_fields(out, all...);
  return out;
}

void bind_constants(py::module_& m) {
  m.attr("WIRE_MAJOR") = wire::kMajor;
  m.attr("WIRE_MINOR") = wire::kMinor;
  m.attr("ALIGN") = wire::kAlign;
  m.attr("HEADER_BYTES") = wire::kHeaderBytes;
  m.attr("COMPONENT_BYTES") = wire::kComponentBytes;
  m.attr("ENTRY_BYTES") = wire::kEntryBytes;
  m.attr("MAX_RECORD_BYTES") = wire::kMaxRecordBytes;
  m.attr("MAX_BATCH_BYTES") = wire::kMaxBatchBytes;
  m.attr("MAX_TILES") = wire::kMaxTiles;
  m.attr("MAX_TILE_BYTES") = wire::kMaxTileBytes;
  m.attr("MAX_GRID") = wire::kMaxGrid;
  m.attr("TILE_BLOCKS") = wire::kTileBlocks;
  m.attr("TILE_SIDE") = wire::kTileSide;
  m.attr("STATUS_FAILED") = static_cast<int>(wire::kStatusFailed);
  m.attr("ZIGZAG") = py::tuple(py::cast(kZigzag));
  m.attr("BATCH_FIELDS") =
      fields(FIELD(BatchHeader, major, "u1"), FIELD(BatchHeader, minor, "u1"), FIELD(BatchHeader, flags, "<u2"),
             FIELD(BatchHeader, batch_bytes, "<u8"), FIELD(BatchHeader, images, "<u4"), FIELD(BatchHeader, components, "<u4"),
             FIELD(BatchHeader, tiles, "<u4"), FIELD(BatchHeader, first_record, "<u4"), FIELD(BatchHeader, crc, "<u4"));
  m.attr("IMAGE_ENTRY_FIELDS") = fields(FIELD(ImageEntry, record_offset, "<u8"), FIELD(ImageEntry, record_bytes, "<u4"),
                                        FIELD(ImageEntry, first_component, "<u4"));
  m.attr("COMPONENT_ENTRY_FIELDS") = fields(FIELD(ComponentEntry, record_offset16, "<u4"),
                                            FIELD(ComponentEntry, first_tile, "<u4"), FIELD(ComponentEntry, first_value, "<u8"));
  m.attr("RECORD_FIELDS") = fields(
      FIELD(RecordHeader, major, "u1"), FIELD(RecordHeader, minor, "u1"), FIELD(RecordHeader, flags, "<u2"),
      FIELD(RecordHeader, record_bytes, "<u4"), FIELD(RecordHeader, meta_bytes, "<u4"), FIELD(RecordHeader, width, "<u2"),
      FIELD(RecordHeader, height, "<u2"), FIELD(RecordHeader, num_components, "u1"), FIELD(RecordHeader, color, "u1"),
      FIELD(RecordHeader, precision, "u1"), FIELD(RecordHeader, orientation, "u1"), FIELD(RecordHeader, h_max, "u1"),
      FIELD(RecordHeader, v_max, "u1"), FIELD(RecordHeader, process, "u1"), FIELD(RecordHeader, status, "u1"),
      FIELD(RecordHeader, valid_mcus, "<u4"), FIELD(RecordHeader, region, "4<u2"), FIELD(RecordHeader, error_offset, "<u4"),
      FIELD(RecordHeader, error_code, "<u2"), FIELD(RecordHeader, restart_interval, "<u2"),
      FIELD(RecordHeader, payload_crc, "<u4"), FIELD(RecordHeader, meta_crc, "<u4"));
  m.attr("COMPONENT_FIELDS") = fields(
      FIELD(ComponentRecord, mask, "<u8"), FIELD(ComponentRecord, block_cols, "<u2"), FIELD(ComponentRecord, block_rows, "<u2"),
      FIELD(ComponentRecord, x0, "<u2"), FIELD(ComponentRecord, y0, "<u2"), FIELD(ComponentRecord, w, "<u2"),
      FIELD(ComponentRecord, h, "<u2"), FIELD(ComponentRecord, tiles_x, "<u2"), FIELD(ComponentRecord, tiles_y, "<u2"),
      FIELD(ComponentRecord, table_offset, "<u4"), FIELD(ComponentRecord, payload_offset, "<u4"),
      FIELD(ComponentRecord, payload_bytes, "<u4"), FIELD(ComponentRecord, channels, "u1"), FIELD(ComponentRecord, id, "u1"),
      FIELD(ComponentRecord, h_factor, "u1"), FIELD(ComponentRecord, v_factor, "u1"), FIELD(ComponentRecord, skip_x, "u1"),
      FIELD(ComponentRecord, skip_y, "u1"), FIELD(ComponentRecord, index, "u1"), FIELD(ComponentRecord, quantization, "64<u2"));
}

#undef FIELD

}  // namespace

void bind_wire(py::module_& m) {
  bind_constants(m);
  m.def("aligned_empty", &aligned_empty, py::arg("size"));
  m.def("crc32c", &crc32c_of, py::arg("buffer"), py::arg("crc") = 0);
  m.def("records", &records_of, py::arg("batch"), py::arg("deep") = false);
  m.def("records_of_own", &records_of_own, py::arg("batch"));
  m.def("check_record", &check_record_of, py::arg("record"), py::arg("deep") = false);
  m.def("join", &join_records, py::arg("records"));
  m.def("select", &select, py::arg("batch"), py::arg("selections"));
  m.def("cut", &cut, py::arg("batch"), py::arg("boxes"));
  m.def("describe", &describe, py::arg("record"));
  m.def("unpack", &unpack, py::arg("batch"));
  m.def("pack", &pack, py::arg("planes"), py::arg("facts"));
  m.def("bound", &bound, py::arg("headers"), py::arg("selections"), py::arg("boxes"));
}

}  // namespace dctload::python
