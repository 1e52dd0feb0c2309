/* Reads JPEG files with jpeg_read_coefficients and prints what came: the tests' second judge.
 *
 * stdin: u32 length + bytes, again and again. stdout, for each: one line "verdict warnings width height components
 * progressive message", where verdict is ok, warning or error; unless error, a line "h v rows cols" a component,
 * 64 quantisation values (u16) and its coefficients (i16 [rows][cols][64], row-major) follow. Little-endian hosts.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

struct errors {
  struct jpeg_error_mgr base;
  jmp_buf escape;
  char first[JMSG_LENGTH_MAX];
};

static void fail(j_common_ptr info) {
  struct errors* errors = (struct errors*)info->err;
  info->err->format_message(info, errors->first);
  longjmp(errors->escape, 1);
}

static void warn(j_common_ptr info, int level) {
  struct errors* errors = (struct errors*)info->err;
  if (level >= 0) return;
  if (info->err->num_warnings++ == 0) info->err->format_message(info, errors->first);
}

static void read_one(unsigned char* data, unsigned long size) {
  struct jpeg_decompress_struct info;
  struct errors errors;
  memset(&info, 0, sizeof info);
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = fail;
  errors.base.emit_message = warn;
  strcpy(errors.first, "-");
  if (setjmp(errors.escape)) {
    printf("error 0 0 0 0 0 %s\n", errors.first);
    jpeg_destroy_decompress(&info);
    return;
  }
  jpeg_create_decompress(&info);
  info.mem->max_memory_to_use = 600L << 20;
  jpeg_mem_src(&info, data, size);
  jpeg_read_header(&info, TRUE);
  if ((double)info.image_width * info.image_height > 2e8) ERREXIT(&info, JERR_IMAGE_TOO_BIG);
  jvirt_barray_ptr* arrays = jpeg_read_coefficients(&info);
  printf("%s %ld %u %u %d %d %s\n", errors.base.num_warnings ? "warning" : "ok", errors.base.num_warnings, info.image_width,
         info.image_height, info.num_components, (int)info.progressive_mode, errors.first);
  for (int k = 0; k < info.num_components; ++k) {
    jpeg_component_info* c = &info.comp_info[k];
    printf("%d %d %u %u\n", c->h_samp_factor, c->v_samp_factor, c->height_in_blocks, c->width_in_blocks);
    UINT16 none[64] = {0};
    fwrite(c->quant_table ? c->quant_table->quantval : none, 2, 64, stdout);
    for (JDIMENSION row = 0; row < c->height_in_blocks; ++row) {
      JBLOCKARRAY blocks = info.mem->access_virt_barray((j_common_ptr)&info, arrays[k], row, 1, FALSE);
      fwrite(blocks[0], sizeof(JBLOCK), c->width_in_blocks, stdout);
    }
  }
  jpeg_destroy_decompress(&info);
}

int main(void) {
  unsigned int size;
  while (fread(&size, 4, 1, stdin) == 1) {
    unsigned char* data = malloc(size + 1);
    if (!data || fread(data, 1, size, stdin) != size) return 1;
    read_one(data, size);
    fflush(stdout);
    free(data);
  }
  return 0;
}
