#include "errors.h"

#include <iterator>

namespace dctload {
namespace {

struct CodeInfo {
  const char* name;
  const char* text;
  const char* remedy;
};

// By number; the same order as the enum.
constexpr CodeInfo kCodes[] = {
    {"ok", "all is well", ""},
    {"io_error", "the file cannot be read", "check that it exists and that you may read it"},
    {"not_jpeg", "this is not a JPEG file", "convert it to JPEG first, or take it out of the list"},
    {"no_image", "the stream holds no image: it ends before a frame or before its first scan",
     "get the file again from its source"},
    {"arithmetic", "arithmetic coding is not supported", "transcode losslessly to Huffman coding (jpegtran -optimize)"},
    {"lossless", "the lossless process is not supported: it has no DCT coefficients", "re-save the file as a baseline JPEG"},
    {"hierarchical", "the hierarchical process is not supported", "re-save the file as a baseline JPEG"},
    {"precision", "samples of other than 8 bits are not supported", "re-save the file with 8 bits a sample"},
    {"jpeg_ls", "JPEG-LS is not supported: it has no DCT coefficients", "re-save the file as a baseline JPEG"},
    {"bad_marker", "a reserved marker stands where a segment should begin", "the file is damaged: get it again from its source"},
    {"bad_length", "a segment's length does not fit its content", "the file is damaged: get it again from its source"},
    {"bad_frame", "the frame header is impossible (a size of zero, no component, or a sampling factor outside 1..4)",
     "the file is damaged, or gives its height only behind the data (DNL): re-save it"},
    {"duplicate_marker", "a second start of image or of frame", "the file is damaged: get it again from its source"},
    {"bad_quantization", "a quantisation table has a number above 3, or a step of 0 for a kept frequency",
     "the file is damaged: get it again from its source"},
    {"missing_quantization", "a component's quantisation table was never defined",
     "the file is damaged: get it again from its source"},
    {"bad_huffman", "a Huffman table is no prefix code, or has a number above 3",
     "the file is damaged: get it again from its source"},
    {"missing_huffman", "a scan names a Huffman table that was never defined",
     "the file is damaged: get it again from its source"},
    {"bad_scan",
     "the scan header is impossible (an unknown component, more than 10 blocks in an MCU, or an image already complete)",
     "the file is damaged: get it again from its source"},
    {"bad_progression", "a progressive scan has impossible parameters (Ss, Se, Ah, Al)",
     "the file is damaged: get it again from its source"},
    {"bad_conditioning", "an arithmetic conditioning table (DAC) is outside its ranges",
     "the file is damaged: get it again from its source"},
    {"data_truncated", "the entropy-coded data ends before the image is complete",
     "get the file again, or pass truncated=\"keep\" for the blocks that are there"},
    {"restart_lost", "restart intervals are missing or out of order",
     "get the file again, or pass truncated=\"keep\" for the blocks that are there"},
    {"bad_code", "the data holds a bit pattern that is no Huffman code",
     "get the file again, or pass truncated=\"keep\" for the blocks that are there"},
    {"limit_pixels", "the image has more pixels than the limit", "if you trust it, raise Limits(pixels=...)"},
    {"limit_components", "the image has more components than the limit", "take it out of the list (the most is 4)"},
    {"limit_scans", "the image has more scans than the limit", "if you trust it, raise Limits(scans=...)"},
    {"limit_bytes", "the file has more bytes than the limit", "if you trust it, raise Limits(bytes=...)"},
    {"limit_record", "the packed image would pass 4 GiB", "keep fewer channels, or ask for a smaller region"},
    {"region_outside", "the region does not touch the image", "give (top, left, height, width) in pixels as coded"},
    {"no_memory", "not enough memory for this image", "lower Limits(pixels=...), or use fewer threads"},
    {"color_space", "the colours are none that Y, Cb and Cr can be made of linearly",
     "pass fallback=\"transcode\" to go by the pixels, or take it out of the list"},
    {"record_damaged", "the stored record is damaged, or does not lie where it should",
     "get its shard again from its source, or make it anew from the files"},
    {"channels_missing", "the stored record lacks channels that are asked for",
     "ask for channels that are stored, or store more of them"},
};
static_assert(std::size(kCodes) == kLastCode + 1);

constexpr const char* kFormats[] = {"unknown",   "empty",   "PNG",       "GIF",          "WebP", "BMP", "TIFF",
                                    "HEIF/AVIF", "JPEG XL", "JPEG 2000", "text or HTML", "PDF",  "ZIP"};

constexpr const char* kWarnings[kNumWarnings] = {
    "no EOI: the file ends right after its data",
    "junk between segments was passed over",
    "bytes left over after a scan's last MCU",
    "no Huffman tables: those of T.81 Annex K were taken",
    "a bit pattern that is no Huffman code was read as libjpeg reads it (17 bits, symbol 0)",
    "a sequential scan with Ss, Se, Ah, Al other than 0, 63, 0, 0",
    "progressive scans in an order that T.81 does not allow",
    "a segment with a length of 0 or 1 was passed over",
    "two components have the same id",
    "a component has no scan: its coefficients are zero",
    "unknown colour transform in the Adobe marker",
    "a component is coded twice: the later scan lies over the earlier one",
    "a restart marker after the last MCU",
    "a refinement scan with a new coefficient of a size other than 1",
};

}  // namespace

const char* code_name(Code code) { return kCodes[static_cast<size_t>(code) <= kLastCode ? static_cast<size_t>(code) : 0].name; }
const char* code_text(Code code) { return kCodes[static_cast<size_t>(code) <= kLastCode ? static_cast<size_t>(code) : 0].text; }
const char* code_remedy(Code code) {
  return kCodes[static_cast<size_t>(code) <= kLastCode ? static_cast<size_t>(code) : 0].remedy;
}

const char* format_name(Format format) {
  return kFormats[static_cast<size_t>(format) < std::size(kFormats) ? static_cast<size_t>(format) : 0];
}

const char* warning_text(Warning warning) {
  for (int i = 0; i < kNumWarnings; ++i) {
    if (warning == 1u << i) return kWarnings[i];
  }
  return "";
}

bool is_unsupported(Code code) {
  return code == Code::kNotJpeg || code == Code::kColorSpace || (code >= Code::kArithmetic && code <= Code::kJpegLs);
}

bool is_limit(Code code) { return code >= Code::kLimitPixels && code <= Code::kLimitRecord; }

}  // namespace dctload
