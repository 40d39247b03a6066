/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text of the files that air_files.h describes, parsed from memory into plain structs. No I/O.
 * Each function takes the whole text of one file (bytes of any kind), starts from the defaults and
 * hands every line that it cannot read to `bad` (not NUL-terminated, without the newline).
 */
#ifndef SIMHOP_PAIRING_AIR_PARSE_H
#define SIMHOP_PAIRING_AIR_PARSE_H

#include "pairing/air_files.h"

#define SH_SIM_NAME_MAX  63
#define SH_AIR_DEVICES   256 /* lines of `positions`; more are bad lines */
#define SH_AIR_MESSAGES  64  /* message types below this can have a fault */
#define SH_AIR_METRE_MAX 1e6

struct sh_air_position {
    char name[SH_SIM_NAME_MAX + 1];
    struct sh_position at;
};

struct sh_air_positions {
    struct sh_air_position device[SH_AIR_DEVICES];
    size_t count;
};

struct sh_air_faults {
    struct sh_fault target[SH_FAULT_TARGETS];
    struct sh_fault message[SH_AIR_MESSAGES];
};

typedef void (*sh_air_bad_line_fn)(struct sh_bytes line, void *user);

/* 1 to SH_SIM_NAME_MAX letters, digits, '-', '_', '.', not starting with '.'. */
SH_MUST_USE bool sh_sim_name_ok(const char *name, size_t n);

void sh_air_parse_positions(struct sh_bytes text, sh_air_bad_line_fn bad, void *user,
                            struct sh_air_positions *positions);
void sh_air_parse_air(struct sh_bytes text, sh_air_bad_line_fn bad, void *user, struct sh_air *air);
void sh_air_parse_faults(struct sh_bytes text, sh_air_bad_line_fn bad, void *user,
                         struct sh_air_faults *faults);

#endif
