/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an engine tells an engineer: transitions by name, decisions, refusals. Rooms never print;
 * they call sh_log, and the program decides with sh_log_set where it goes (`-v`: stderr).
 * Nothing secret is ever given to it: no key, code, activation code, address of a person.
 */
#ifndef SIMHOP_PROTO_LOG_H
#define SIMHOP_PROTO_LOG_H

#include "proto/base.h"

typedef void (*sh_log_fn)(const char *line, void *user);

/* NULL: nobody listens, the default. Set once, before threads start. */
void sh_log_set(sh_log_fn fn, void *user);

/* "handshake: await-share -> await-confirm (pake-share-p)"; at most 511 bytes, without newline. */
SH_PRINTF(1, 2) void sh_log(const char *format, ...);

#endif
