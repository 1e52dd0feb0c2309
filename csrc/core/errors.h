// What can go wrong, as values. Nothing in the core throws for a file's sake; the Python border turns a Result into an exception.
#pragma once

#include <cstdint>

namespace dctload {

// Numbers are part of the wire format (image record, offset 44): append only, never reuse. docs/errors.md has a line for each.
enum class Code : uint16_t {
  kOk = 0,
  kIo = 1,                    // the file could not be opened or read
  kNotJpeg = 2,               // no SOI at the start; detail is a Format
  kNoImage = 3,               // the stream ends (or EOI comes) before a frame or before its first scan
  kArithmetic = 4,            // SOF9, SOF10: arithmetic coding
  kLossless = 5,              // SOF3, SOF11 and their hierarchical forms
  kHierarchical = 6,          // SOF5, 6, 13, 14, DHP or EXP
  kPrecision = 7,             // samples of another width than 8 bits; detail is the width
  kJpegLs = 8,                // SOF55: JPEG-LS (ITU-T T.87)
  kBadMarker = 9,             // a reserved marker where a segment was expected; detail is its second byte
  kBadLength = 10,            // a segment whose length does not fit its content; detail is the marker's second byte
  kBadFrame = 11,             // frame header: size zero, sampling factors outside 1..4, no component
  kDuplicateMarker = 12,      // a second SOI or SOF; detail is the marker's second byte
  kBadQuantization = 13,      // DQT names a table above 3; a record would hold a step of 0
  kMissingQuantization = 14,  // a component's quantisation table was never defined; detail is the table
  kBadHuffman = 15,           // DHT that is no prefix code, or names a table above 3
  kMissingHuffman = 16,       // a scan names a Huffman table that was never defined; detail is the table (+16 for AC)
  kBadScan = 17,              // scan header: unknown component, too many blocks in an MCU, a second scan of a finished image
  kBadProgression = 18,       // progressive scan with impossible Ss, Se, Ah, Al
  kBadConditioning = 19,      // DAC outside its ranges
  kDataTruncated = 20,        // the entropy-coded data ends early; offset is where it ends
  kRestartLost = 21,          // restart intervals are missing or out of order; offset is the first wrong marker
  kBadCode = 22,              // progressive data holds a bit pattern that is no Huffman code
  kLimitPixels = 23,
  kLimitComponents = 24,
  kLimitScans = 25,
  kLimitBytes = 26,
  kLimitRecord = 27,    // the packed record would pass 2^32 - 16 bytes
  kRegionOutside = 28,  // the region asked for does not touch the image
  kNoMemory = 29,
  kColorSpace = 30,  // for callers of the core, which decodes such files: colours that have no Y, Cb and Cr; detail is ColorSpace
  kRecordDamaged = 31,    // a stored record that breaks the format, or is not where it was said to be; offset is in the record
  kChannelsMissing = 32,  // a stored record lacks frequencies that are asked for; detail is the component
};
inline constexpr uint16_t kLastCode = 32;

// What a file that is no JPEG looks like (detail of kNotJpeg).
enum class Format : uint8_t { kUnknown, kEmpty, kPng, kGif, kWebp, kBmp, kTiff, kHeif, kJpegXl, kJpeg2000, kText, kPdf, kZip };

// Oddities of a file whose coefficients are complete: bits of Status::warnings, each with a text.
enum Warning : uint32_t {
  kWarnNoEoi = 1u << 0,  // the stream ends without EOI
  kWarnJunkBetweenSegments = 1u << 1,
  kWarnExtraData = 1u << 2,           // bytes left over after the last MCU of a scan
  kWarnStandardTables = 1u << 3,      // no DHT: the tables of T.81 Annex K were taken
  kWarnBadCode = 1u << 4,             // a bit pattern that is no code was read as libjpeg's fast path does
  kWarnScanParameters = 1u << 5,      // sequential scan with Ss, Se, Ah, Al other than 0, 63, 0, 0
  kWarnProgression = 1u << 6,         // progressive scans in an order that T.81 G.1.1.1 does not allow
  kWarnShortSegment = 1u << 7,        // length field of 0 or 1
  kWarnDuplicateId = 1u << 8,         // two components with one id
  kWarnMissingScan = 1u << 9,         // a component without any scan: its coefficients are zero
  kWarnAdobeTransform = 1u << 10,     // unknown colour transform code in the Adobe marker
  kWarnRepeatedScan = 1u << 11,       // a component coded twice in a sequential file
  kWarnUnexpectedRestart = 1u << 12,  // restart marker after the last MCU
  kWarnRefinementSize = 1u << 13,     // a refinement scan with a new coefficient of a size other than 1
};
inline constexpr int kNumWarnings = 14;

// The detail of a failure that was read back from a record, which keeps its code and its offset only.
inline constexpr uint32_t kUnknownDetail = 0xFFFFFFFF;

struct Result {
  Code code = Code::kOk;
  uint32_t detail = 0;
  uint64_t offset = 0;  // byte in the file

  bool ok() const { return code == Code::kOk; }
};

const char* code_name(Code code);        // "data_truncated": what JPEGError.code holds
const char* code_text(Code code);        // what happened, in words
const char* code_remedy(Code code);      // what to do about it
const char* format_name(Format format);  // "PNG"
const char* warning_text(Warning warning);
bool is_unsupported(Code code);
bool is_limit(Code code);

}  // namespace dctload
