/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a side heard while it measured, as the other side gets it once both hold the key (message Samples, docs/protocol.md
 * section 6). Before that a side only commits to it: SHA-256 over a label, its nonce of the greeting and the exact payload, which
 * begins with a random salt. So nobody sees samples in the clear, nobody can fit his own to the other's, and a commitment
 * that is sent back opens nothing, since the nonce in it is another one.
 *
 * An engine: samples in, bytes out, bytes in. All sizes are fixed; more samples than fit are thinned evenly.
 */
#ifndef SIMHOP_PAIRING_SAMPLES_H
#define SIMHOP_PAIRING_SAMPLES_H

#include "crypto/keys.h"
#include "pairing/heard.h"
#include "pairing/proximity.h"
#include "proto/msg.h"

#define SH_SAMPLES_MAX     512
#define SH_SAMPLES_SPAN_MS 16000 /* none is later than that after the first */
#define SH_SALT_SIZE       16
#define SH_COMMITMENT_SIZE 32
#define SH_HELLO_NONCE     16
#define SH_SAMPLE_OCTETS   4 /* packed: ms since the one before (2), dBm (1), channel (1) */

struct sh_samples {
    uint8_t salt[SH_SALT_SIZE];
    struct sh_level level; /* at one metre, of the receiver whose samples these are */
    double rate_hz;        /* of all that were heard, also where they were thinned; 0 with one */
    size_t count, heard_count;
    struct {
        uint16_t ms; /* since the first */
        int8_t dbm;
        uint8_t channel; /* 0 to 39 or SH_CHANNEL_UNKNOWN */
    } at[SH_SAMPLES_MAX];
    struct sh_heard_id heard[SH_HEARD_MAX];

    /* Only while they are recorded. */
    sh_ms first, last;
    unsigned total;
    unsigned stride; /* each stride-th is kept */
};

/* One sample. Those that pairing/proximity.h would not count are left out, and so is what comes later than SH_SAMPLES_SPAN_MS. */
void sh_samples_add(struct sh_samples *samples, sh_ms at, int dbm, uint8_t channel);

/* A message with all that it points to; does not move. */
struct sh_samples_message {
    Simhop__Samples base;
    uint8_t salt[SH_SALT_SIZE];
    uint8_t packed[SH_SAMPLES_MAX * SH_SAMPLE_OCTETS];
    uint8_t ids[SH_HEARD_MAX][SH_ROTATING_ID_SIZE];
    Simhop__HeardId heard[SH_HEARD_MAX], *heard_list[SH_HEARD_MAX];
};
/* The same samples always give the same octets. */
void sh_samples_fill(const struct sh_samples *samples, struct sh_samples_message *message);

/* The end of recording: draws the salt and commits. nonce: ours. Fails with env.random, env.crypto, env.no-memory. */
SH_MUST_USE enum sh_cause sh_samples_commit(struct sh_samples *samples,
                                            const uint8_t nonce[SH_HELLO_NONCE],
                                            uint8_t ret_commitment[SH_COMMITMENT_SIZE]);

/* The peer's payload, against its nonce and commitment (compared in constant time). Fails with near.changed, then as
 * sh_msg_unpack does, with proto.malformed (lengths, times, levels, fewer than SH_MEASURE_SAMPLES) and
 * proto.unknown-enum (how the level is known). */
SH_MUST_USE enum sh_cause sh_samples_open(struct sh_bytes payload,
                                          const uint8_t nonce[SH_HELLO_NONCE],
                                          const uint8_t commitment[SH_COMMITMENT_SIZE],
                                          struct sh_samples *ret_samples);

#endif
