/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/ladder.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "proto/log.h"
#include "transfer/path.h"

#define KINDS_MAX 4

/* What is tried one after the other where full segments do not pass. Tunnels cut 20 to 80 octets off, so the first is enough for
 * nearly all; the last passes where only some 1000 octets do. */
static const uint16_t segments[] = {0, 1200, 900};

enum rung_state {
    RUNG_IDLE, /* nothing offered, or given up */
    RUNG_HELD, /* waits for better kinds to fail */
    RUNG_TRYING,
    RUNG_UP,
    RUNG_BACKOFF,
};

/* A kind of link. */
struct rung {
    int kind;
    enum rung_state state;
    struct sh_attempt addresses[SH_LADDER_ATTEMPTS]; /* as offered, in the order of trying */
    size_t count;
    unsigned rounds;
    unsigned segment;    /* an index of `segments` */
    bool lower, at_once; /* the next attempts: with smaller segments; without a back-off */
    enum sh_cause cause; /* the most telling so far */
    sh_ms
        retry; /* RUNG_BACKOFF; RUNG_HELD: a better kind that is only tried holds it back no longer */
    unsigned up; /* attempt */
    sh_ms up_since;
};

enum slot_state { SLOT_FREE, SLOT_WAITING, SLOT_DIALLING };

struct slot {
    enum slot_state state;
    struct rung *rung;
    struct sh_attempt attempt;
    sh_ms deadline;
};

struct sh_ladder {
    const struct sh_ladder_ops *ops;
    void *user;
    struct rung rungs[KINDS_MAX];
    size_t count;
    struct slot slots[KINDS_MAX * SH_LADDER_ATTEMPTS];
    unsigned last_id;
    unsigned rounds_max;
    uint64_t chance;
    sh_ms next_start; /* of an attempt that waits */
};

enum sh_cause sh_ladder_new(const int *allowed, size_t count, uint64_t seed,
                            const struct sh_ladder_ops *ops, void *user,
                            struct sh_ladder **ret_ladder)
{
    if (count > KINDS_MAX)
        return sh_fail(SH_INTERNAL_BUG, "%zu kinds of links", count);
    struct sh_ladder *ladder = calloc(1, sizeof(*ladder));
    if (!ladder)
        return SH_ENV_NO_MEMORY;
    ladder->ops = ops;
    ladder->user = user;
    ladder->count = count;
    ladder->rounds_max = SH_LADDER_ROUNDS;
    ladder->chance = seed;
    for (size_t i = 0; i < count; i++)
        ladder->rungs[i].kind = allowed[i];
    *ret_ladder = ladder;
    return SH_OK;
}

void sh_ladder_free(struct sh_ladder *ladder)
{
    if (ladder)
        sh_wipe(ladder, sizeof(*ladder)); /* passphrases */
    free(ladder);
}

void sh_ladder_limit(struct sh_ladder *ladder, unsigned rounds)
{
    ladder->rounds_max = rounds;
}

unsigned sh_ladder_rank(const struct sh_ladder *ladder, int kind)
{
    unsigned rank = 0;
    while (rank < ladder->count && ladder->rungs[rank].kind != kind)
        rank++;
    return rank;
}

/* ---- attempts ---- */

static struct slot *slot_find(struct sh_ladder *ladder, unsigned attempt)
{
    for (size_t i = 0; i < SH_COUNT(ladder->slots); i++) {
        struct slot *slot = &ladder->slots[i];
        if (slot->state != SLOT_FREE && slot->attempt.id == attempt)
            return slot;
    }
    return NULL;
}

/* The next to start: the better kind first, then in the order of its addresses. */
static struct slot *slot_next(struct sh_ladder *ladder)
{
    struct slot *next = NULL;
    for (size_t i = 0; i < SH_COUNT(ladder->slots); i++) {
        struct slot *slot = &ladder->slots[i];
        if (slot->state == SLOT_WAITING &&
            (!next || slot->rung < next->rung ||
             (slot->rung == next->rung && slot->attempt.id < next->attempt.id)))
            next = slot;
    }
    return next;
}

static bool rung_has_slots(const struct sh_ladder *ladder, const struct rung *rung)
{
    for (size_t i = 0; i < SH_COUNT(ladder->slots); i++) {
        if (ladder->slots[i].state != SLOT_FREE && ladder->slots[i].rung == rung)
            return true;
    }
    return false;
}

/* Freed before the call, which may come back to us. */
static void slot_cancel(struct sh_ladder *ladder, struct slot *slot)
{
    bool dialling = slot->state == SLOT_DIALLING;
    slot->state = SLOT_FREE;
    if (dialling)
        ladder->ops->cancel(slot->attempt.id, ladder->user);
}

static void rung_cancel(struct sh_ladder *ladder, const struct rung *rung)
{
    for (size_t i = 0; i < SH_COUNT(ladder->slots); i++) {
        if (ladder->slots[i].state != SLOT_FREE && ladder->slots[i].rung == rung)
            slot_cancel(ladder, &ladder->slots[i]);
    }
}

static void rung_try(struct sh_ladder *ladder, struct rung *rung)
{
    size_t free_slot = 0;
    rung->state = RUNG_TRYING;
    rung->rounds++;
    sh_log("ladder: kind %d, round %u, %zu addresses", rung->kind, rung->rounds, rung->count);
    for (size_t i = 0; i < rung->count; i++) {
        while (free_slot < SH_COUNT(ladder->slots) && ladder->slots[free_slot].state != SLOT_FREE)
            free_slot++;
        if (free_slot == SH_COUNT(ladder->slots))
            return; /* not reached: there are slots for all kinds */
        struct slot *slot = &ladder->slots[free_slot];
        *slot = (struct slot){.state = SLOT_WAITING, .rung = rung, .attempt = rung->addresses[i]};
        slot->attempt.id = ++ladder->last_id;
        slot->attempt.segment = segments[rung->segment];
    }
}

/* A quarter less to a quarter more: devices that lost the same network do not come back all at once. */
static sh_ms jittered(struct sh_ladder *ladder, sh_ms wait)
{
    /* splitmix64 */
    uint64_t x = ladder->chance += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return wait - wait / 4 + x % (wait / 2 + 1);
}

/* Smaller segments, if that is what may help. */
static bool segment_lowered(struct rung *rung)
{
    bool lower = rung->lower && rung->segment + 1 < SH_COUNT(segments);
    rung->segment += lower;
    rung->lower = false;
    return lower;
}

static void rung_failed(struct sh_ladder *ladder, struct rung *rung, sh_ms now)
{
    bool at_once = segment_lowered(rung) && rung->at_once && rung->count > 0;
    rung->at_once = false;
    if (at_once) {
        rung->rounds--;
        rung_try(ladder, rung);
        return;
    }
    if (rung->rounds < ladder->rounds_max && rung->count > 0) {
        rung->state = RUNG_BACKOFF;
        rung->retry = now + jittered(ladder, (sh_ms)SH_BACKOFF_MS
                                                 << (rung->rounds > 0 ? rung->rounds - 1 : 0));
        return;
    }
    rung->state = RUNG_IDLE;
    sh_log("ladder: kind %d given up, %s", rung->kind, sh_cause_info(rung->cause)->name);
    ladder->ops->failed(rung->kind, rung->cause, ladder->user);
}

/* ---- offers ---- */

static struct rung *rung_find(struct sh_ladder *ladder, int kind)
{
    unsigned rank = sh_ladder_rank(ladder, kind);
    return rank < ladder->count ? &ladder->rungs[rank] : NULL;
}

static bool is_group(const Simhop__WifiGroup *group)
{
    size_t n = group ? strlen(group->passphrase) : 0;
    if (!group || group->ssid.len == 0 || group->ssid.len > 32 || group->bssid.len != 6 || n < 8 ||
        n > 63 || group->frequency_mhz < 2400 || group->frequency_mhz > 7200)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (group->passphrase[i] < 0x20 || group->passphrase[i] > 0x7e)
            return false;
    }
    return true;
}

enum sh_cause sh_ladder_check_offer(const Simhop__LinkOffer *offer)
{
    if (offer->kind == SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT && !is_group(offer->wifi_group))
        return sh_fail(SH_PROTO_MALFORMED, "an offer of a group that nobody can join");
    if (offer->port == 0 || offer->port > UINT16_MAX)
        return sh_fail(SH_PROTO_MALFORMED, "a link offer with port %u", offer->port);
    for (size_t i = 0; i < offer->n_addresses; i++) {
        size_t n = offer->addresses[i].len;
        if (n != 4 && n != 16)
            return sh_fail(SH_PROTO_MALFORMED, "a link offer with an address of %zu octets", n);
    }
    return SH_OK;
}

static void read_group(const Simhop__LinkOffer *offer, struct sh_wifi_group *out)
{
    const Simhop__WifiGroup *group = offer->wifi_group;
    if (offer->kind != SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT)
        return;
    memcpy(out->ssid, group->ssid.data, group->ssid.len);
    out->ssid_len = group->ssid.len;
    memcpy(out->bssid, group->bssid.data, sizeof(out->bssid));
    memcpy(out->passphrase, group->passphrase, strlen(group->passphrase) + 1);
    out->frequency_mhz = group->frequency_mhz;
}

/* IPv6 first, then in turn, each family in the order of the offer. */
static size_t sort_addresses(const Simhop__LinkOffer *offer, struct sh_attempt *out)
{
    size_t count = 0, at[2] = {0, 0};
    static const size_t length[2] = {16, 4};
    for (unsigned family = 0; count < SH_LADDER_ATTEMPTS; family ^= 1) {
        for (unsigned f = 0; f < 2; f++) {
            while (at[f] < offer->n_addresses && offer->addresses[at[f]].len != length[f])
                at[f]++;
        }
        if (at[0] >= offer->n_addresses && at[1] >= offer->n_addresses)
            break;
        if (at[family] >= offer->n_addresses)
            continue;
        struct sh_attempt *attempt = &out[count++];
        *attempt = (struct sh_attempt){
            .kind = (int)offer->kind, .address_len = length[family], .port = (uint16_t)offer->port};
        memcpy(attempt->address, offer->addresses[at[family]++].data, length[family]);
        read_group(offer, &attempt->group);
    }
    return count;
}

static bool same_group(const struct sh_wifi_group *a, const struct sh_wifi_group *b)
{
    return a->ssid_len == b->ssid_len && memcmp(a->ssid, b->ssid, a->ssid_len) == 0 &&
           strcmp(a->passphrase, b->passphrase) == 0 &&
           memcmp(a->bssid, b->bssid, sizeof(a->bssid)) == 0 &&
           a->frequency_mhz == b->frequency_mhz;
}

static bool same_addresses(const struct rung *rung, const struct sh_attempt *addresses,
                           size_t count)
{
    bool same = rung->count == count;
    for (size_t i = 0; same && i < count; i++) {
        const struct sh_attempt *a = &rung->addresses[i], *b = &addresses[i];
        same = a->port == b->port && a->address_len == b->address_len &&
               memcmp(a->address, b->address, a->address_len) == 0 &&
               same_group(&a->group, &b->group);
    }
    return same;
}

/* Is there a better kind that makes this one needless, now or perhaps soon? */
static bool is_held(const struct sh_ladder *ladder, const struct rung *rung, sh_ms now)
{
    if (rung->kind != SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT)
        return false;
    for (const struct rung *better = ladder->rungs; better < rung; better++) {
        if (better->state == RUNG_UP || (better->state == RUNG_TRYING && now < rung->retry))
            return true;
    }
    return false;
}

/* Tries it, once nothing better is there; RUNG_HELD until then. */
static void rung_start(struct sh_ladder *ladder, struct rung *rung, sh_ms now)
{
    if (is_held(ladder, rung, now))
        rung->state = RUNG_HELD;
    else
        rung_try(ladder, rung);
}

static void begin_anew(struct sh_ladder *ladder, struct rung *rung, sh_ms now)
{
    rung_cancel(ladder, rung);
    rung->rounds = 0;
    rung->segment = 0;
    rung->lower = rung->at_once = false;
    rung->cause = SH_OK;
    rung->state = RUNG_HELD; /* all offers are to be known before one is tried: see tick */
    rung->retry = now + SH_YIELD_MS;
}

static void note_cause(struct rung *rung, enum sh_cause cause)
{
    if (sh_path_telling(cause) >= sh_path_telling(rung->cause))
        rung->cause = cause;
    rung->lower |= cause == SH_LINK_MTU || cause == SH_LINK_STALLED;
    rung->at_once |= cause == SH_LINK_MTU;
}

/* There is nothing to be found any more where it was; what is up goes down by itself if it does. */
static void withdraw(struct sh_ladder *ladder, struct rung *rung, sh_ms now)
{
    bool wifi = rung->kind == SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT;
    rung->count = 0;
    if (rung->state == RUNG_IDLE || rung->state == RUNG_UP)
        return;
    rung_cancel(ladder, rung);
    note_cause(rung, wifi ? SH_WIFI_GROUP_LOST : SH_LINK_NOT_LISTENING);
    rung_failed(ladder, rung, now);
}

static void take_offer(struct sh_ladder *ladder, struct rung *rung, const Simhop__LinkOffer *offer,
                       sh_ms now)
{
    struct sh_attempt addresses[SH_LADDER_ATTEMPTS];
    size_t count = sort_addresses(offer, addresses);
    bool same = same_addresses(rung, addresses, count);
    if (count == 0) {
        withdraw(ladder, rung, now);
        return;
    }
    memcpy(rung->addresses, addresses, count * sizeof(addresses[0]));
    rung->count = count;
    if (rung->state == RUNG_UP || (same && rung->state != RUNG_IDLE))
        return;
    begin_anew(ladder, rung, now);
}

static bool is_among(const Simhop__LinkOffers *offers, int kind)
{
    for (size_t i = 0; i < offers->n_offers; i++) {
        if ((int)offers->offers[i]->kind == kind)
            return true;
    }
    return false;
}

enum sh_cause sh_ladder_offers(struct sh_ladder *ladder, const Simhop__LinkOffers *offers,
                               sh_ms now)
{
    for (size_t i = 0; i < offers->n_offers; i++) {
        if (rung_find(ladder, (int)offers->offers[i]->kind))
            SH_TRY(sh_ladder_check_offer(offers->offers[i]));
    }
    for (size_t i = 0; i < offers->n_offers; i++) {
        struct rung *rung = rung_find(ladder, (int)offers->offers[i]->kind);
        if (rung)
            take_offer(ladder, rung, offers->offers[i], now);
    }
    for (size_t i = 0; i < ladder->count; i++) {
        if (!is_among(offers, ladder->rungs[i].kind))
            withdraw(ladder, &ladder->rungs[i], now);
    }
    (void)sh_ladder_tick(ladder, now);
    return SH_OK;
}

void sh_ladder_again(struct sh_ladder *ladder, int kind, sh_ms now)
{
    struct rung *rung = rung_find(ladder, kind);
    if (!rung || rung->count == 0 || (rung->state != RUNG_IDLE && rung->state != RUNG_BACKOFF))
        return;
    begin_anew(ladder, rung, now);
    (void)sh_ladder_tick(ladder, now);
}

/* ---- what becomes of attempts ---- */

/* attempt: 0 for none of ours. */
static void rung_up(struct sh_ladder *ladder, struct rung *rung, unsigned attempt, sh_ms now)
{
    rung->state = RUNG_UP;
    rung->up = attempt;
    rung->up_since = now;
    rung_cancel(ladder, rung);
}

void sh_ladder_up(struct sh_ladder *ladder, unsigned attempt, sh_ms now)
{
    struct slot *slot = slot_find(ladder, attempt);
    if (!slot || slot->state != SLOT_DIALLING)
        return;
    slot->state = SLOT_FREE;
    rung_up(ladder, slot->rung, attempt, now);
}

void sh_ladder_taken(struct sh_ladder *ladder, int kind, sh_ms now)
{
    struct rung *rung = rung_find(ladder, kind);
    if (rung && rung->state != RUNG_UP)
        rung_up(ladder, rung, 0, now);
}

void sh_ladder_down(struct sh_ladder *ladder, unsigned attempt, enum sh_cause cause, sh_ms now)
{
    struct slot *slot = slot_find(ladder, attempt);
    struct rung *rung = slot ? slot->rung : NULL;
    for (size_t i = 0; !slot && i < ladder->count; i++) {
        struct rung *candidate = &ladder->rungs[i];
        if (candidate->state == RUNG_UP && candidate->up == attempt)
            rung = candidate;
    }
    if (!rung)
        return;
    if (slot)
        slot->state = SLOT_FREE;
    else if (now - rung->up_since >= SH_STEADY_MS)
        rung->rounds = 0;
    note_cause(rung, cause);
    ladder->next_start = now; /* the next one need not wait for its turn */
    if (!rung_has_slots(ladder, rung))
        rung_failed(ladder, rung, now);
}

void sh_ladder_lost(struct sh_ladder *ladder, int kind, enum sh_cause cause, sh_ms now)
{
    const struct rung *rung = rung_find(ladder, kind);
    if (rung && rung->state == RUNG_UP && rung->up == 0)
        sh_ladder_down(ladder, 0, cause, now);
}

/* ---- time ---- */

static void time_out(struct sh_ladder *ladder, sh_ms now)
{
    for (size_t i = 0; i < SH_COUNT(ladder->slots); i++) {
        struct slot *slot = &ladder->slots[i];
        if (slot->state != SLOT_DIALLING || now < slot->deadline)
            continue;
        struct rung *rung = slot->rung;
        slot_cancel(ladder, slot);
        note_cause(rung, SH_LINK_TIMEOUT);
        if (rung->state == RUNG_TRYING && !rung_has_slots(ladder, rung))
            rung_failed(ladder, rung, now);
    }
}

static sh_ms dial_ms(int kind)
{
    return kind == SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT ? SH_JOIN_MS : SH_DIAL_MS;
}

static void start_attempts(struct sh_ladder *ladder, sh_ms now)
{
    struct slot *slot = NULL;
    while (now >= ladder->next_start && (slot = slot_next(ladder)) != NULL) {
        slot->state = SLOT_DIALLING;
        slot->deadline = now + dial_ms(slot->rung->kind);
        ladder->next_start = now + SH_RACE_MS; /* a dial that fails at once sets it back */
        struct sh_attempt attempt = slot->attempt;
        ladder->ops->dial(&attempt, ladder->user);
    }
}

static sh_ms next_time(struct sh_ladder *ladder, sh_ms now)
{
    sh_ms next = slot_next(ladder) ? ladder->next_start : SH_NEVER;
    for (size_t i = 0; i < ladder->count; i++) {
        const struct rung *rung = &ladder->rungs[i];
        /* One that is held while a better kind is up waits for an event, not for a time. */
        if (rung->state == RUNG_BACKOFF || (rung->state == RUNG_HELD && now < rung->retry))
            next = SH_MIN(next, rung->retry);
    }
    for (size_t i = 0; i < SH_COUNT(ladder->slots); i++) {
        if (ladder->slots[i].state == SLOT_DIALLING)
            next = SH_MIN(next, ladder->slots[i].deadline);
    }
    return next;
}

sh_ms sh_ladder_tick(struct sh_ladder *ladder, sh_ms now)
{
    time_out(ladder, now);
    for (size_t i = 0; i < ladder->count; i++) {
        struct rung *rung = &ladder->rungs[i];
        if (rung->state == RUNG_HELD || (rung->state == RUNG_BACKOFF && now >= rung->retry))
            rung_start(ladder, rung, now);
    }
    start_attempts(ladder, now);
    return next_time(ladder, now);
}

bool sh_ladder_trying(const struct sh_ladder *ladder)
{
    for (size_t i = 0; i < ladder->count; i++) {
        if (ladder->rungs[i].state == RUNG_TRYING || ladder->rungs[i].state == RUNG_BACKOFF ||
            ladder->rungs[i].state == RUNG_HELD)
            return true;
    }
    return false;
}

bool sh_ladder_dials(const struct sh_ladder *ladder, int kind)
{
    unsigned rank = sh_ladder_rank(ladder, kind);
    return rank < ladder->count && ladder->rungs[rank].state == RUNG_TRYING;
}
