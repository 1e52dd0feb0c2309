// All kernels of one CPU level, in the order of Kernels (cpu.h).
#pragma once

#include "destuff-inl.h"
#include "scan_progressive-inl.h"
#include "scan_sequential-inl.h"
#include "tile_selector-inl.h"
#include "tiles-inl.h"
