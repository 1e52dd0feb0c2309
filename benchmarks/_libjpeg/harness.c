/* libjpeg-turbo's coefficient read, as bare as it can be called: the yardstick of benchmarks.decode.
 *
 * The library itself is opened at run time (harness_open), so that one build measures both the system's and a newer one of the
 * same ABI. One library a process. Built by benchmarks/_libjpeg/__init__.py; nothing here is part of the package.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <jpeglib.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static struct {
  struct jpeg_error_mgr* (*std_error)(struct jpeg_error_mgr*);
  void (*create_decompress)(j_decompress_ptr, int, size_t);
  void (*create_compress)(j_compress_ptr, int, size_t);
  void (*mem_src)(j_decompress_ptr, const unsigned char*, unsigned long);
  void (*mem_dest)(j_compress_ptr, unsigned char**, unsigned long*);
  int (*read_header)(j_decompress_ptr, boolean);
  jvirt_barray_ptr* (*read_coefficients)(j_decompress_ptr);
  void (*write_coefficients)(j_compress_ptr, jvirt_barray_ptr*);
  void (*copy_critical_parameters)(j_decompress_ptr, j_compress_ptr);
  void (*simple_progression)(j_compress_ptr);
  boolean (*finish_decompress)(j_decompress_ptr);
  void (*finish_compress)(j_compress_ptr);
  void (*destroy_decompress)(j_decompress_ptr);
  void (*destroy_compress)(j_compress_ptr);
} lib;

struct caught {
  struct jpeg_error_mgr base;
  jmp_buf back;
};

static void leave(j_common_ptr info) { longjmp(((struct caught*)info->err)->back, 1); }

static void silent(j_common_ptr info, int level) {
  if (level < 0) info->err->num_warnings++;
}

static struct jpeg_error_mgr* catch_errors(struct caught* caught) {
  lib.std_error(&caught->base);
  caught->base.error_exit = leave;
  caught->base.emit_message = silent;
  return &caught->base;
}

/* Version text of the headers that this was compiled with. */
const char* harness_header_version(void) {
#ifdef LIBJPEG_TURBO_VERSION
  return TEXT(LIBJPEG_TURBO_VERSION);
#else
  return "not libjpeg-turbo";
#endif
}

/* 62 or 80: the ABI, which is also the library's number. */
int harness_abi(void) { return JPEG_LIB_VERSION; }

/* Opens the library and turns malloc's trimming off. 0, or -1 with the reason in `reason`. */
int harness_open(const char* path, char* reason, size_t size) {
#ifdef __GLIBC__
  /* libjpeg takes and gives back 1 MB an image; with trimming the page faults add up to 300 us, and the ratio looks too good. */
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(reason, size, "%s", dlerror());
    return -1;
  }
  const struct {
    const char* name;
    void** place;
  } wanted[] = {
      {"jpeg_std_error", (void**)&lib.std_error},
      {"jpeg_CreateDecompress", (void**)&lib.create_decompress},
      {"jpeg_CreateCompress", (void**)&lib.create_compress},
      {"jpeg_mem_src", (void**)&lib.mem_src},
      {"jpeg_mem_dest", (void**)&lib.mem_dest},
      {"jpeg_read_header", (void**)&lib.read_header},
      {"jpeg_read_coefficients", (void**)&lib.read_coefficients},
      {"jpeg_write_coefficients", (void**)&lib.write_coefficients},
      {"jpeg_copy_critical_parameters", (void**)&lib.copy_critical_parameters},
      {"jpeg_simple_progression", (void**)&lib.simple_progression},
      {"jpeg_finish_decompress", (void**)&lib.finish_decompress},
      {"jpeg_finish_compress", (void**)&lib.finish_compress},
      {"jpeg_destroy_decompress", (void**)&lib.destroy_decompress},
      {"jpeg_destroy_compress", (void**)&lib.destroy_compress},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    *wanted[i].place = dlsym(handle, wanted[i].name);
    if (!*wanted[i].place) {
      snprintf(reason, size, "no %s in it", wanted[i].name);
      return -1;
    }
  }
  return 0;
}

/* All coefficients of a file in memory; `info` is to be destroyed by the caller, whose `setjmp` catches errors. */
static jvirt_barray_ptr* read_planes(struct jpeg_decompress_struct* info, const unsigned char* data, size_t size) {
  lib.create_decompress(info, JPEG_LIB_VERSION, sizeof *info);
  lib.mem_src(info, data, size);
  lib.read_header(info, TRUE);
  return lib.read_coefficients(info);
}

/* Reads all coefficients and touches nothing else. Number of warnings, or -1 after an error. */
int coefficients(const unsigned char* data, size_t size) {
  struct jpeg_decompress_struct info;
  struct caught caught;
  memset(&info, 0, sizeof info);
  info.err = catch_errors(&caught);
  if (setjmp(caught.back)) {
    if (info.mem) lib.destroy_decompress(&info);
    return -1;
  }
  read_planes(&info, data, size);
  int warnings = (int)info.err->num_warnings;
  lib.destroy_decompress(&info);
  return warnings;
}

/* For checks: the blocks of every component, row by row, 64 values a block in row-major order, one component after the other.
 * shape holds (rows, columns) of at most 4 components. Returns the components, -1 after an error, -2 where `capacity` (values)
 * is too small. */
int dump(const unsigned char* data, size_t size, int16_t* out, size_t capacity, int32_t* shape) {
  struct jpeg_decompress_struct info;
  struct caught caught;
  memset(&info, 0, sizeof info);
  info.err = catch_errors(&caught);
  if (setjmp(caught.back)) {
    if (info.mem) lib.destroy_decompress(&info);
    return -1;
  }
  jvirt_barray_ptr* planes = read_planes(&info, data, size);
  size_t used = 0;
  int components = info.num_components;
  for (int c = 0; c < components && c < 4; c++) {
    jpeg_component_info* component = &info.comp_info[c];
    shape[2 * c] = (int32_t)component->height_in_blocks;
    shape[2 * c + 1] = (int32_t)component->width_in_blocks;
    size_t row_values = (size_t)component->width_in_blocks * DCTSIZE2;
    for (JDIMENSION row = 0; row < component->height_in_blocks; row++) {
      if (used + row_values > capacity) {
        lib.destroy_decompress(&info);
        return -2;
      }
      JBLOCKARRAY blocks = info.mem->access_virt_barray((j_common_ptr)&info, planes[c], row, 1, FALSE);
      memcpy(out + used, blocks[0], row_values * sizeof *out);
      used += row_values;
    }
  }
  lib.destroy_decompress(&info);
  return components;
}

/* The same coefficients as a progressive file, with libjpeg's usual script of scans. Bytes written, 0 after an error or where
 * `capacity` is too small. */
size_t progressive(const unsigned char* data, size_t size, unsigned char* out, size_t capacity) {
  struct jpeg_decompress_struct from;
  struct jpeg_compress_struct to;
  struct caught caught;
  unsigned char* made = NULL;
  unsigned long made_size = 0;
  memset(&from, 0, sizeof from);
  memset(&to, 0, sizeof to);
  from.err = to.err = catch_errors(&caught);
  if (setjmp(caught.back)) {
    if (to.mem) lib.destroy_compress(&to);
    if (from.mem) lib.destroy_decompress(&from);
    return 0;
  }
  lib.create_decompress(&from, JPEG_LIB_VERSION, sizeof from);
  lib.create_compress(&to, JPEG_LIB_VERSION, sizeof to);
  lib.mem_src(&from, data, size);
  lib.read_header(&from, TRUE);
  jvirt_barray_ptr* planes = lib.read_coefficients(&from);
  lib.copy_critical_parameters(&from, &to);
  lib.simple_progression(&to);
  lib.mem_dest(&to, &made, &made_size);
  lib.write_coefficients(&to, planes);
  lib.finish_compress(&to);
  size_t written = made_size <= capacity ? made_size : 0;
  if (written) memcpy(out, made, written);
  lib.destroy_compress(&to);
  lib.destroy_decompress(&from);
  free(made);
  return written;
}
