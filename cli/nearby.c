/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/nearby.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/linked.h"
#include "proto/log.h"

#define LOOK_MS 50
/* Half or twice as far: somebody is on the move. One at rest varies by 4 within half a minute. */
#define CHANGE_DB 6.0
/* What two scores of a moment are off by even where the fading is averaged out. */
#define UNSURE_DB 3.0

struct sender {
    char address[SH_BLE_ADDRESS]; /* "" = free */
    struct sh_advert advert;      /* the last one */
    struct sh_heard_ids ids;
    const struct sh_device *linked;
    double known_dbm; /* of its level at one metre; NAN: nothing */
    struct sh_proximity *proximity;
    unsigned heard; /* how often, up to 2 */
    sh_ms last;
};

struct sh_nearby {
    const struct sh_nearby_ops *ops;
    void *user;
    const struct sh_device *linked;
    size_t linked_count;
    const char *only;
    bool only_linked; /* the name in `only` is that of a linked anchor */
    struct sender senders[SH_NEARBY_MAX];
    char skipped[SH_NEARBY_MAX][SH_BLE_ADDRESS];
    size_t skipped_count;
    enum sh_phase phase;
    sh_ms changed, hinted, metered;
    double changed_dbm;
    sh_ms near_since; /* somebody is near; SH_NEVER: nobody */
    bool picked, over, takes_far, told_unsure;
};

enum sh_cause sh_nearby_new(const struct sh_device *linked, size_t linked_count, const char *only,
                            const struct sh_nearby_ops *ops, void *user, sh_ms now,
                            struct sh_nearby **ret_nearby)
{
    struct sh_nearby *nearby = calloc(1, sizeof(*nearby));
    if (!nearby)
        return SH_ENV_NO_MEMORY;
    nearby->ops = ops;
    nearby->user = user;
    nearby->linked = linked;
    nearby->linked_count = linked_count;
    nearby->only = only;
    for (size_t i = 0; only && i < linked_count; i++)
        nearby->only_linked = nearby->only_linked || strcmp(linked[i].name, only) == 0;
    nearby->phase = SH_PHASE_DISCOVER;
    nearby->hinted = now;
    nearby->near_since = SH_NEVER;
    ops->phase(SH_PHASE_DISCOVER, user);
    *ret_nearby = nearby;
    return SH_OK;
}

static void forget(struct sender *sender)
{
    sh_proximity_free(sender->proximity);
    *sender = (struct sender){0};
}

void sh_nearby_free(struct sh_nearby *nearby)
{
    if (!nearby)
        return;
    for (size_t i = 0; i < SH_NEARBY_MAX; i++)
        forget(&nearby->senders[i]);
    free(nearby);
}

static bool is_skipped(const struct sh_nearby *nearby, const char *address)
{
    for (size_t i = 0; i < nearby->skipped_count; i++) {
        if (strcmp(nearby->skipped[i], address) == 0)
            return true;
    }
    return false;
}

/* Whom to forget first: nobody where a place is free, then who was heard once and not again, then the one not heard for longest. A
 * stream of addresses that are never the same does not push out who is there. */
static bool goes_before(const struct sender *a, const struct sender *b)
{
    if (!a->address[0] || !b->address[0])
        return b->address[0] != '\0';
    bool once = a->heard < 2, other_once = b->heard < 2;
    return once != other_once ? once : a->last < b->last;
}

/* The sender's place; a new one takes a free place or somebody else's. */
static struct sender *place_of(struct sh_nearby *nearby, const char *address, bool *ret_new)
{
    struct sender *first = &nearby->senders[0];
    for (size_t i = 0; i < SH_NEARBY_MAX; i++) {
        struct sender *sender = &nearby->senders[i];
        if (strcmp(sender->address, address) == 0) {
            *ret_new = false;
            return sender;
        }
        if (goes_before(sender, first))
            first = sender;
    }
    forget(first);
    *ret_new = true;
    return first;
}

void sh_nearby_take_far(struct sh_nearby *nearby)
{
    nearby->takes_far = true;
}

/* As it was calibrated, else as it is stated. */
static struct sh_level level_of(const struct sender *sender, int stated_dbm)
{
    return sh_level_best(sender->known_dbm,
                         stated_dbm != SH_ADVERT_UNKNOWN_POWER ? stated_dbm : (double)NAN);
}

static bool sender_begin(const struct sh_nearby *nearby, struct sender *sender, const char *address,
                         int8_t stated_dbm, const struct sh_device *linked)
{
    sender->known_dbm =
        linked && nearby->ops->level ? nearby->ops->level(linked, nearby->user) : (double)NAN;
    const struct sh_proximity_config config = {.use = SH_PROXIMITY_APPROACH,
                                               .level = {level_of(sender, stated_dbm)}};
    sender->proximity = sh_proximity_new(&config);
    if (sender->proximity && sh_strcopy(sender->address, sizeof(sender->address), address))
        return true;
    forget(sender);
    return false;
}

void sh_nearby_heard(struct sh_nearby *nearby, const struct sh_ble_heard *heard, sh_ms now)
{
    struct sh_advert advert;
    bool is_new = false;
    if (nearby->over || nearby->picked || !heard->address[0] ||
        is_skipped(nearby, heard->address) || sh_advert_decode(heard->payload, &advert) != SH_OK)
        return;
    const struct sh_device *linked =
        sh_linked_resolve(nearby->linked, nearby->linked_count, advert.id);
    if (nearby->only_linked && (!linked || strcmp(linked->name, nearby->only) != 0))
        return;
    struct sender *sender = place_of(nearby, heard->address, &is_new);
    if (is_new && !sender_begin(nearby, sender, heard->address, advert.ref1m_dbm, linked))
        return;
    sender->advert = advert;
    sender->linked = linked;
    sender->last = now;
    sender->heard = SH_MIN(sender->heard + 1, 2U);
    struct sh_proximity_sample sample = {.at = now,
                                         .dbm = heard->rssi_dbm,
                                         .power_db = advert.power_db,
                                         .channel = SH_CHANNEL_UNKNOWN,
                                         .source = SH_SOURCE_ADVERT};
    sh_proximity_add(sender->proximity, &sample);
    sh_heard_add(&sender->ids, advert.id, heard->rssi_dbm);
    if (nearby->ops->counted)
        nearby->ops->counted(heard, &advert, sender->known_dbm, linked != NULL, now, nearby->user);
}

void sh_nearby_again(struct sh_nearby *nearby, const char *skip, sh_ms now)
{
    nearby->picked = nearby->told_unsure = false;
    nearby->near_since = SH_NEVER;
    nearby->hinted = now;
    for (size_t i = 0; i < SH_NEARBY_MAX; i++)
        forget(&nearby->senders[i]);
    if (skip && nearby->skipped_count < SH_NEARBY_MAX &&
        sh_strcopy(nearby->skipped[nearby->skipped_count], SH_BLE_ADDRESS, skip))
        nearby->skipped_count++;
    nearby->phase = SH_PHASE_DISCOVER;
    nearby->ops->phase(SH_PHASE_DISCOVER, nearby->user);
}

/* Near, else known not to be, else heard too little to tell: somebody who is heard once, however loud, does not stand before
 * one who is there. Among equals the stronger one. */
static bool is_before(const struct sh_proximity_estimate *a, const struct sh_proximity_estimate *b)
{
    static const int ranks[] = {
        [SH_PROXIMITY_UNDECIDED] = 0, [SH_PROXIMITY_REJECT] = 1, [SH_PROXIMITY_ACCEPT] = 2};
    int rank = ranks[a->verdict], other = ranks[b->verdict];
    if (rank != other)
        return rank > other;
    double score = a->evidence.score_db, mark = b->evidence.score_db;
    return isnan(mark) || score > mark;
}

/* The nearest sender that is still on the air; NULL: nobody. */
static struct sender *nearest(struct sh_nearby *nearby, sh_ms now,
                              struct sh_proximity_estimate *ret_estimate)
{
    struct sender *best = NULL;
    for (size_t i = 0; i < SH_NEARBY_MAX; i++) {
        struct sender *sender = &nearby->senders[i];
        if (!sender->address[0])
            continue;
        if (now > sender->last + SH_NEARBY_FORGET_MS) {
            forget(sender);
            continue;
        }
        struct sh_proximity_estimate estimate = sh_proximity_at(sender->proximity, now);
        if (estimate.samples > 0 && (!best || is_before(&estimate, ret_estimate))) {
            best = sender;
            *ret_estimate = estimate;
        }
    }
    return best;
}

static void go(struct sh_nearby *nearby, enum sh_phase phase, sh_ms now)
{
    if (nearby->phase == phase)
        return;
    nearby->phase = phase;
    nearby->changed = nearby->hinted = now;
    nearby->changed_dbm = NAN;
    nearby->ops->phase(phase, nearby->user);
}

static void hint(struct sh_nearby *nearby, const char *text, sh_ms now)
{
    if (now < nearby->hinted + SH_NEARBY_HINT_MS)
        return;
    nearby->hinted = now;
    nearby->ops->hint(text, nearby->user);
}

static void pick(struct sh_nearby *nearby, const struct sender *sender)
{
    struct sh_nearby_pick chosen = {
        .advert = sender->advert, .heard = sender->ids, .linked = sender->linked};
    if (!sh_strcopy(chosen.address, sizeof(chosen.address), sender->address))
        return;
    nearby->picked = true;
    nearby->ops->pick(&chosen, nearby->user);
}

/* Is somebody heard, too seldom yet to tell, who may be nearer, or about as near? Between two anchors it must not be the order
 * in which a busy machine hears them that decides. Nobody can hold this up for long by being loud. */
static bool may_be_nearer(struct sh_nearby *nearby, double score_db, sh_ms now)
{
    for (size_t i = 0; i < SH_NEARBY_MAX; i++) {
        struct sender *sender = &nearby->senders[i];
        if (!sender->address[0])
            continue;
        struct sh_proximity_estimate estimate = sh_proximity_at(sender->proximity, now);
        if (estimate.verdict == SH_PROXIMITY_UNDECIDED &&
            estimate.evidence.score_db > score_db - UNSURE_DB)
            return true;
    }
    return false;
}

/* Is another one about as near, even if by a little too far? Then it is not known which is meant, and the person is asked to show it. */
static bool is_unsure(struct sh_nearby *nearby, const struct sender *best, double score_db,
                      sh_ms now)
{
    for (size_t i = 0; i < SH_NEARBY_MAX; i++) {
        struct sender *sender = &nearby->senders[i];
        if (!sender->address[0] || sender == best)
            continue;
        struct sh_proximity_estimate estimate = sh_proximity_at(sender->proximity, now);
        if (estimate.verdict != SH_PROXIMITY_UNDECIDED &&
            estimate.evidence.score_db > score_db - UNSURE_DB)
            return true;
    }
    return false;
}

/* Somebody is near: the one that is picked, unless another one may be meant. */
static void choose(struct sh_nearby *nearby, const struct sender *sender, double score_db,
                   sh_ms now)
{
    nearby->near_since = SH_MIN(nearby->near_since, now);
    if (is_unsure(nearby, sender, score_db, now)) {
        if (!nearby->told_unsure)
            nearby->ops->hint("Two sharing devices are about as near. Hold this one close to the "
                              "one that is meant, or name it: --anchor.",
                              nearby->user);
        nearby->told_unsure = true;
        if (now < nearby->near_since + SH_NEARBY_UNSURE_MS)
            return;
    } else if (now < nearby->near_since + SH_NEARBY_WAIT_MS &&
               may_be_nearer(nearby, score_db, now)) {
        return;
    }
    pick(nearby, sender);
}

/* Somebody is heard: near, coming nearer, or standing there too far away? */
static void look(struct sh_nearby *nearby, const struct sender *sender,
                 const struct sh_proximity_estimate *estimate, sh_ms now)
{
    go(nearby, SH_PHASE_APPROACH, now);
    bool near = estimate->verdict == SH_PROXIMITY_ACCEPT ||
                (nearby->takes_far && estimate->verdict == SH_PROXIMITY_REJECT);
    if (near || now >= nearby->metered + SH_NEARBY_METER_MS) {
        nearby->metered = now;
        nearby->ops->proximity(estimate, nearby->user);
    }
    if (!near) {
        nearby->near_since = SH_NEVER;
    } else {
        choose(nearby, sender, estimate->evidence.score_db, now);
        return;
    }
    if (isnan(nearby->changed_dbm) ||
        fabs(estimate->level_dbm - nearby->changed_dbm) >= CHANGE_DB) {
        nearby->changed = now;
        nearby->changed_dbm = estimate->level_dbm;
    }
    if (now >= nearby->changed + SH_NEARBY_APPROACH_MS) {
        nearby->over = true;
        nearby->ops->failed(sh_fail(SH_NEAR_TOO_FAR, "about %.1f m", estimate->metres),
                            nearby->user);
        return;
    }
    hint(nearby, "Come closer: hold the two devices side by side.", now);
}

static void watch(struct sh_nearby *nearby, const struct sender *sender,
                  const struct sh_proximity_estimate *estimate, sh_ms now)
{
    if (now < nearby->metered + SH_NEARBY_METER_MS)
        return;
    nearby->metered = now;
    nearby->ops->watched(sender ? sender->linked : NULL, sender ? estimate : NULL, nearby->user);
}

static void tell_look(const struct sh_nearby *nearby, sh_ms now)
{
    bool any = false;
    for (size_t i = 0; i < SH_NEARBY_MAX; i++)
        any = any || nearby->senders[i].address[0];
    if (any && nearby->ops->looks)
        nearby->ops->looks(now, nearby->user);
}

sh_ms sh_nearby_tick(struct sh_nearby *nearby, sh_ms now)
{
    struct sh_proximity_estimate estimate = {0};
    if (nearby->over || nearby->picked)
        return SH_NEVER;
    tell_look(nearby, now);
    const struct sender *sender = nearest(nearby, now, &estimate);
    if (nearby->ops->watched) {
        watch(nearby, sender, &estimate, now);
    } else if (sender) {
        look(nearby, sender, &estimate, now);
    } else {
        go(nearby, SH_PHASE_DISCOVER, now);
        hint(nearby, "Nobody is sharing nearby. Run `simhop share` on the device with the lines.",
             now);
    }
    return now + LOOK_MS;
}
