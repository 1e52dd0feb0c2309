#include "record_view.h"

#include <algorithm>

#include "wire_io.h"

namespace dctload {
namespace {

constexpr size_t kCrcOffset = 60;  // of the checksum field, in a record's header and in a batch's

uint32_t extend(uint32_t crc, std::span<const uint8_t> bytes) { return chosen_kernels().crc32c(crc, bytes.data(), bytes.size()); }

// Over the first `size` bytes, the checksum field itself read as 0.
uint32_t crc_but_own_field(std::span<const uint8_t> bytes, uint64_t size) {
  constexpr uint8_t kZero[4] = {};
  const uint32_t crc = extend(extend(0, bytes.first(kCrcOffset)), kZero);
  return extend(crc, bytes.subspan(wire::kHeaderBytes, size - wire::kHeaderBytes));
}

}  // namespace

RecordView::RecordView(std::span<const uint8_t> record) : bytes(record), header(load_from<wire::RecordHeader>(record.data())) {
  const size_t n = std::min<size_t>(header.num_components, components.size());
  std::memcpy(components.data(), record.data() + wire::kHeaderBytes, n * wire::kComponentBytes);
}

TileBytes RecordView::tile(const wire::ComponentRecord& component, uint64_t t) const {
  const uint64_t begin = wire::kAlign * uint64_t{table(component, t)}, end = wire::kAlign * uint64_t{table(component, t + 1)};
  return {bytes.data() + component.payload_offset + begin, end - begin};
}

uint32_t meta_crc(std::span<const uint8_t> record, uint32_t meta_bytes) { return crc_but_own_field(record, meta_bytes); }
uint32_t directory_crc(std::span<const uint8_t> batch, uint64_t first_record) { return crc_but_own_field(batch, first_record); }
uint32_t payload_crc(std::span<const uint8_t> record, uint32_t meta_bytes) { return extend(0, record.subspan(meta_bytes)); }

void seal_record(uint8_t* record) {
  auto header = load_from<wire::RecordHeader>(record);
  header.payload_crc = payload_crc({record, header.record_bytes}, header.meta_bytes);
  std::memcpy(record, &header, sizeof header);
  header.meta_crc = meta_crc({record, header.record_bytes}, header.meta_bytes);
  std::memcpy(record, &header, sizeof header);
}

Header record_facts(std::span<const uint8_t> record) {
  const RecordView view(record);
  Header facts;
  facts.width = view.header.width;
  facts.height = view.header.height;
  facts.precision = view.header.precision;
  facts.orientation = view.header.orientation;
  facts.process = static_cast<Process>(view.header.process);
  facts.color = static_cast<ColorSpace>(view.header.color);
  facts.restart_interval = view.header.restart_interval;
  facts.num_components = static_cast<uint8_t>(std::min<int>(view.header.num_components, kMaxComponents));
  for (uint32_t i = 0; i < facts.num_components; ++i) {
    Component& c = facts.components[i];
    c.id = view.components[i].id;
    c.h = view.components[i].h_factor;
    c.v = view.components[i].v_factor;
    std::copy_n(view.components[i].quantization, 64, c.quantization.begin());
  }
  if (facts.num_components > 0) derive_grids(facts);
  return facts;
}

ComponentMasks record_masks(std::span<const uint8_t> record, const Selection& selection) {
  return component_masks(record_facts(record), selection);
}

}  // namespace dctload
