/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/waiting.h"

static void on_rx(struct sh_bytes bytes SH_UNUSED, void *user)
{
    *(bool *)user = true;
}

static void on_writable(void *user SH_UNUSED) {}

static void on_closed(enum sh_cause cause SH_UNUSED, void *user)
{
    *(bool *)user = true;
}

static const struct sh_stream_ops ops = {.rx = on_rx, .writable = on_writable, .closed = on_closed};

void sh_stream_waits(struct sh_stream *stream, bool *gone)
{
    stream->ops = &ops;
    stream->user = gone;
}
