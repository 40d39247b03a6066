/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The world's carriers: pairs of streams in memory, chunks that arrive after a while, and the fault on one of them.
 */
#ifndef SIMHOP_TESTS_SIM_WORLD_STREAM_H
#define SIMHOP_TESTS_SIM_WORLD_STREAM_H

#include "proto/stream.h"
#include "world.h"

#define STREAMS_MAX 64

struct stream;

struct wire {
    sh_ms now;
    struct stream *streams[STREAMS_MAX];
    unsigned count;
    unsigned steps;
    enum fault_kind fault;
    unsigned fault_step;
    uint64_t seed;
    enum hole_kind hole;
    unsigned hole_step;
    sh_ms hole_at; /* 0: not yet */
    const struct stream *holed;
};

void wire_init(struct wire *wire);
void wire_set_fault(struct wire *wire, enum fault_kind fault, unsigned step, uint64_t seed);
/* After wire_set_fault. */
void wire_set_hole(struct wire *wire, enum hole_kind kind, unsigned step);
/* Two ends of one stream, each chunk `latency` on its way. */
void wire_pair(struct wire *wire, sh_ms latency, struct stream *ret_ends[2]);
/* From here on what is larger is lost, and with it all that comes behind it, its end too. */
void wire_pass_small(struct stream *end, size_t octets);
/* Both ends break, after what is on its way. */
void wire_end(struct stream *end);
struct sh_stream *stream_base(struct stream *stream);
/* When the next chunk or end arrives; SH_NEVER. */
sh_ms wire_next(const struct wire *wire);
/* Everything that is due now. */
void wire_deliver(struct wire *wire);
void wire_clear(struct wire *wire);
void wire_free(struct wire *wire);

#endif
