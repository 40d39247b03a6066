/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stream that never blocks whoever writes to it: what the reader does not take waits in memory and goes out with sh_sink_push, in
 * pieces so small that a descriptor that is ready takes each whole (pipe(7): PIPE_BUF; a terminal that was stopped with Ctrl-S is
 * not ready). So a script that reads no more, or a person who stopped the terminal, does not stop a transfer. The descriptor itself is
 * left blocking: others may share it.
 */
#ifndef SIMHOP_CLI_SINK_H
#define SIMHOP_CLI_SINK_H

#include <stdio.h>

#include "proto/base.h"

#define SH_SINK_MAX (1U << 20) /* octets that wait at most; what does not fit is lost */

struct sh_sink;

/* The descriptor stays the caller's and must outlive it. NULL when there is no memory. */
struct sh_sink *sh_sink_new(int fd);
/* The stream to write to; flushed at each newline by whoever writes. Borrowed. */
FILE *sh_sink_stream(struct sh_sink *sink);
/* Gives on what the reader takes now. */
void sh_sink_push(struct sh_sink *sink);
/* Octets that wait, and that were lost. */
size_t sh_sink_waiting(const struct sh_sink *sink);
uint64_t sh_sink_lost(const struct sh_sink *sink);
/* Waits for the reader for this long at most, then frees. */
void sh_sink_close(struct sh_sink *sink, sh_ms limit);

#endif
