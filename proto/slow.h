/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Callbacks of the loop that take too long: whoever is called from the loop writes SH_SLOW("name") as its
 * first line, and a debug build (without NDEBUG) logs by that name each run of more than SH_SLOW_MS.
 * In a release build it is nothing.
 */
#ifndef SIMHOP_PROTO_SLOW_H
#define SIMHOP_PROTO_SLOW_H

#include "proto/base.h"

#define SH_SLOW_MS 50

struct sh_slow {
    const char *name;
    uint64_t since_ns;
};

struct sh_slow sh_slow_begin(const char *name);
void sh_slow_end(const struct sh_slow *slow);

#ifdef NDEBUG
#define SH_SLOW(name) ((void)0)
#else
#define SH_SLOW(name)                                                                              \
    SH_CLEANUP(sh_slow_end) SH_UNUSED struct sh_slow sh_slow_ = sh_slow_begin(name)
#endif

#endif
