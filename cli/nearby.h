/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Discovery and approach, an engine on the secondary: advertisements in, "this is the one" out. It keeps at most
 * SH_NEARBY_MAX senders, estimates how near each is and picks the strongest one that is within a metre. Who was heard only
 * once or twice is nobody yet, however loud; but who sounds stronger than the one to be picked, or about as strong, gets a moment
 * to be heard often enough. Where another one is within 3 dB of it, near or by a little too far, the person is asked to show
 * which is meant. Linked anchors are recognised by their rotating identifier. What was sent with less power than usual, as it says
 * itself, counts by that power.
 *
 *   discover  nobody is heard: a hint every 10 s, no end (but --deadline)
 *   approach  somebody is heard but not near: near.too-far after 30 s without a change
 */
#ifndef SIMHOP_CLI_NEARBY_H
#define SIMHOP_CLI_NEARBY_H

#include "cli/output.h"
#include "pairing/ble.h"
#include "pairing/heard.h"
#include "pairing/proximity.h"
#include "pairing/registry.h"

#define SH_NEARBY_MAX         32
#define SH_NEARBY_FORGET_MS   5000 /* not heard for so long */
#define SH_NEARBY_APPROACH_MS 30000
#define SH_NEARBY_HINT_MS     10000
#define SH_NEARBY_METER_MS    200
#define SH_NEARBY_WAIT_MS     1000 /* for one that may be nearer, once */
#define SH_NEARBY_UNSURE_MS   5000 /* while two are about as near; then the nearer one is taken */

struct sh_nearby_pick {
    char address[SH_BLE_ADDRESS];
    struct sh_advert advert;   /* the last one, with the level of its usual power */
    struct sh_heard_ids heard; /* which identifiers of this sender */
    const struct sh_device
        *linked; /* the anchor that we know; NULL: a new one. Borrowed from the list given */
};

struct sh_nearby_ops {
    void (*phase)(enum sh_phase phase, void *user);
    void (*proximity)(const struct sh_proximity_estimate *estimate, void *user);
    void (*hint)(const char *text, void *user);
    /* Connect to this one; nothing more is picked until sh_nearby_again. */
    void (*pick)(const struct sh_nearby_pick *pick, void *user);
    void (*failed)(enum sh_cause cause, void *user);
    /* The level at one metre that was calibrated for this one, in dBm, NAN for none. May be NULL. */
    double (*level)(const struct sh_device *linked, void *user);
    /* An advertisement counts, by this level at one metre: as stated, in dBm or NAN, and as calibrated. now: as it was given. May be
     * NULL. */
    void (*counted)(const struct sh_ble_heard *heard, const struct sh_advert *advert,
                    double known_dbm, bool linked, sh_ms now, void *user);
    /* It looks at this time at whom it keeps, before it tells what it makes of it; not where it keeps nobody. Who is given the same
     * calls of both again, at the same times and in the same order, comes to the same. May be NULL. */
    void (*looks)(sh_ms now, void *user);
    /* If set, it only watches: every SH_NEARBY_METER_MS this one is the nearest (linked: NULL for a stranger; estimate: NULL,
     * nobody is heard); nobody is picked and nothing fails. */
    void (*watched)(const struct sh_device *linked, const struct sh_proximity_estimate *estimate,
                    void *user);
};

struct sh_nearby;

/* linked: the anchors that we know, borrowed. only: of them, only this name; such a name that nobody linked has is looked
 * for by connecting (the advertisement carries none). NULL: any. */
SH_MUST_USE enum sh_cause sh_nearby_new(const struct sh_device *linked, size_t linked_count,
                                        const char *only, const struct sh_nearby_ops *ops,
                                        void *user, sh_ms now, struct sh_nearby **ret_nearby);
void sh_nearby_free(struct sh_nearby *nearby);

/* Who is heard but not near may be picked too. */
void sh_nearby_take_far(struct sh_nearby *nearby);

void sh_nearby_heard(struct sh_nearby *nearby, const struct sh_ble_heard *heard, sh_ms now);
/* Goes on looking; skip (may be NULL) is an address that turned out to be somebody else. */
void sh_nearby_again(struct sh_nearby *nearby, const char *skip, sh_ms now);
/* Returns when it wants to be called again at the latest. */
sh_ms sh_nearby_tick(struct sh_nearby *nearby, sh_ms now);

#endif
