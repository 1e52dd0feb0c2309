#include "scan_driver.h"

#include <algorithm>

namespace dctload {
namespace {

// The next marker at or behind `offset`, restart markers included. `code` is its second byte; at the end of the file 0.
uint64_t next_marker(std::span<const uint8_t> file, uint64_t offset, uint8_t& code) {
  while (offset + 1 < file.size()) {
    if (file[offset] == 0xFF && file[offset + 1] != 0 && file[offset + 1] != 0xFF) {
      code = file[offset + 1];
      return offset;
    }
    ++offset;
  }
  code = 0;
  return file.size();
}

bool is_restart(uint8_t code) { return code >= 0xD0 && code <= 0xD7; }

}  // namespace

ScanOutcome drive_scan(ScanCoder& coder, EntropySource& source, const Kernels& kernels, const Parser& parser,
                       uint64_t data_offset, const ScanGeometry& g) {
  ScanOutcome out;
  const std::span<const uint8_t> file = parser.file();
  const uint64_t total = uint64_t{g.cols} * g.rows, needed = uint64_t{g.cols} * g.rows_needed;
  const uint64_t interval = parser.restart_interval() != 0 ? parser.restart_interval() : total;
  const bool restarts = parser.restart_interval() != 0;
  out.first_lost = total;
  uint64_t mcu = 0, begin = 0;  // next MCU; first of its interval
  uint32_t expected = 0;        // number of the restart marker behind this interval
  uint32_t row = ~0u;
  const auto lose = [&](Code code, uint64_t offset, uint64_t first) {
    if (out.loss.ok()) out.loss = {code, 0, offset};
    out.first_lost = std::min(out.first_lost, first);
  };

  for (uint64_t offset = data_offset;;) {
    source.start(kernels, file, offset);
    coder.reset();
    const uint64_t end = std::min(begin + interval, total), target = std::min(end, needed);
    bool complete = true;
    while (mcu < target) {
      const uint32_t r = static_cast<uint32_t>(mcu / g.cols), x = static_cast<uint32_t>(mcu % g.cols);
      if (r != row) coder.begin_row(row = r);
      out.rows_begun = r + 1;
      if (source.position().at > source.stop()) source.more();
      const uint32_t done = coder.run(source, x, static_cast<uint32_t>(std::min<uint64_t>(g.cols - x, target - mcu)));
      mcu += done;
      out.valid_mcus += done;
      if (source.overrun() || coder.corrupt()) {
        --mcu;
        --out.valid_mcus;
        coder.undo(x + done - 1);
        complete = false;
        break;
      }
    }
    if (complete && mcu >= needed) {
      if (needed < total) {
        out.stopped_early = true;
        out.valid_mcus += total - needed;  // nothing below is looked at
        return out;
      }
    }

    // Which marker ended the interval? Bytes left over before it are passed over.
    uint8_t code = 0;
    uint64_t at = next_marker(file, source.last() ? source.end_offset() : source.offset(), code);
    if (complete && (!source.last() || source.bits_left() >= 8)) out.extra_data = true;
    if (!complete) {
      if (coder.corrupt()) {
        lose(Code::kBadCode, source.offset(), mcu);
        out.only_tail_lost = false;
      } else {
        lose(is_restart(code) ? Code::kRestartLost : Code::kDataTruncated, at, mcu);
      }
    }
    if (mcu >= total || (complete && end == total)) {
      out.end_offset = at;
      return out;
    }
    bool again = false;  // the same interval once more, behind a doubled marker
    for (;;) {
      if (!is_restart(code) || !restarts) {  // the rest is lost
        if (complete) lose(Code::kDataTruncated, at, mcu);
        if (out.loss.code == Code::kRestartLost) out.only_tail_lost = false;
        out.end_offset = parser.find_marker(at);
        return out;
      }
      const uint32_t ahead = ((code & 7u) - expected) & 7;
      if (ahead < 6) {  // the right one, or one further on: `ahead` intervals are missing
        if (ahead != 0) lose(Code::kRestartLost, at, complete ? end : mcu);
        if (!complete || ahead != 0) out.only_tail_lost = false;
        mcu = begin = std::min(end + ahead * interval, total);
        expected += ahead + 1;
        break;
      }
      // One of the two before it: doubled. What lies between the two belongs to this interval if nothing of it came yet.
      lose(Code::kRestartLost, at, mcu);
      out.only_tail_lost = false;
      if (mcu == begin) {
        again = true;
        break;
      }
      at = next_marker(file, at + 2, code);
    }
    offset = at + 2;
    if (again) continue;
    if (begin >= needed) {
      if (needed < total) {
        out.stopped_early = true;
        out.valid_mcus += total - needed;
        return out;
      }
      out.end_offset = parser.find_marker(offset);
      return out;
    }
  }
}

}  // namespace dctload
