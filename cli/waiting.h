/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stream that waits for its turn: connected, and nobody speaks on it yet. */
#ifndef SIMHOP_CLI_WAITING_H
#define SIMHOP_CLI_WAITING_H

#include "proto/stream.h"

/* From now on *gone becomes true when the stream is of no use any more: it was closed, or its other end, which is no anchor then,
 * spoke first. The stream stays the caller's; gone has to live until it is closed or has other ops. */
void sh_stream_waits(struct sh_stream *stream, bool *gone);

#endif
