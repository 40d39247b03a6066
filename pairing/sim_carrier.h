/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a simulated air does to the bytes that one side of a stream sends, as an engine: cuts them
 * into chunks, holds them to the rate, and has them dropped, delayed, black-holed or the stream cut
 * as the faults file says at that moment.
 *
 * Messages before TLS are followed by their frame headers (proto/frame.h) so that faults of one
 * kind of message find it; from the first octet that is not such a message, or after pake-done, the
 * bytes are opaque.
 */
#ifndef SIMHOP_PAIRING_SIM_CARRIER_H
#define SIMHOP_PAIRING_SIM_CARRIER_H

#include <event2/buffer.h>

#include "pairing/air_files.h"
#include "proto/msg.h"

#define SH_SIM_CHUNK 1024

struct sh_sim_carrier {
    struct evbuffer *queue; /* what was sent and not taken yet */
    uint64_t sent;          /* octets taken */
    double tokens;
    sh_ms tokens_at;
    uint64_t chance; /* state of the draws for `drop` */
    /* The frame that is being taken. */
    bool clear;
    uint8_t header[SH_FRAME_HEADER];
    size_t header_n;
    uint64_t frame_at, frame_size; /* size: 0 while the header is not whole */
    bool frame_lost;
};

enum sh_sim_step {
    SH_SIM_IDLE,  /* nothing to take */
    SH_SIM_WAIT,  /* the rate: again in wait_ms */
    SH_SIM_TAKEN, /* a chunk */
    SH_SIM_CUT,   /* the stream ends here */
};

struct sh_sim_chunk {
    uint8_t bytes[SH_SIM_CHUNK];
    size_t n;
    bool lost;
    unsigned delay_ms;
    uint64_t wait_ms;
};

/* chance: a number that differs between streams and is the same in each run. Fails with
 * env.no-memory. */
SH_MUST_USE enum sh_cause sh_sim_carrier_init(struct sh_sim_carrier *carrier, uint64_t chance);
void sh_sim_carrier_clear(struct sh_sim_carrier *carrier);

SH_MUST_USE enum sh_sim_step sh_sim_carrier_step(struct sh_sim_carrier *carrier,
                                                 const struct sh_air_files *files, sh_ms now,
                                                 struct sh_sim_chunk *ret_chunk);

/* true with probability p; moves the state on. */
bool sh_sim_chance(uint64_t *state, double p);

#endif
