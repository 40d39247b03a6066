/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Identifiers of advertisements (crypto/keys.h) as nonces: each is fresh and cannot be foreseen, so who names one
 * has heard it, and who names those that were sent with little power is not far away, or has a good antenna. Two
 * lists, no I/O: what a secondary heard of one anchor, and what an anchor sent, with which power.
 */
#ifndef SIMHOP_PAIRING_HEARD_H
#define SIMHOP_PAIRING_HEARD_H

#include "crypto/keys.h"

#define SH_HEARD_MAX 32
#define SH_SENT_MAX  80    /* with a new one each second some more than are valid */
#define SH_SENT_MS   60000 /* so long after the next one was sent an identifier is still good */

struct sh_heard_id {
    uint8_t id[SH_ROTATING_ID_SIZE];
    int dbm; /* the strongest that it was heard with */
};

/* The newest SH_HEARD_MAX, the newest last. */
struct sh_heard_ids {
    struct sh_heard_id ids[SH_HEARD_MAX];
    size_t count;
};

/* Heard once (more). */
void sh_heard_add(struct sh_heard_ids *heard, const uint8_t id[SH_ROTATING_ID_SIZE], int dbm);

struct sh_sent_id {
    uint8_t id[SH_ROTATING_ID_SIZE];
    int power_db; /* relative to the usual one, 0 or less */
    sh_ms until;  /* SH_NEVER: it is on the air */
};

/* A ring of the newest SH_SENT_MAX. */
struct sh_sent_ids {
    struct sh_sent_id ids[SH_SENT_MAX];
    size_t count; /* ever sent */
};

/* It is on the air from now on, in the place of the one before. */
void sh_sent_add(struct sh_sent_ids *sent, const uint8_t id[SH_ROTATING_ID_SIZE], int power_db,
                 sh_ms now);
/* The power could not be lowered after all: none of them was sent with less. */
void sh_sent_as_usual(struct sh_sent_ids *sent);
/* Those on the air within the last SH_SENT_MS, each with its power as dbm, if any was sent with less than the usual one; returns how
 * many, 0 if none was: then to have heard one proves nothing. */
size_t sh_sent_stepped(const struct sh_sent_ids *sent, sh_ms now,
                       struct sh_heard_id out[SH_SENT_MAX]);
#endif
