/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/puller_internal.h"

#include <inttypes.h>
#include <string.h>

#include "proto/log.h"

/* How much is asked of a link of a kind at once. BLE moves some 60 KiB a second: what is in
 * flight there is what a switch to a better link has to wait for. What waits to be written is in flight too, and in memory. */
struct window {
    unsigned leaves; /* in flight */
    unsigned pull;   /* in a Pull */
};

/* A link that gave nothing yet is asked for little: the first piece does not share the processors with many behind it, and is as soon
 * here of a large item as of a small one. Those few keep the wire busy until the next ones are asked for. */
static struct window window_of(const struct sh_pull_link *link)
{
    if (link->kind == SIMHOP__LINK_KIND__LINK_KIND_BLE)
        return (struct window){.leaves = 2, .pull = 1};
    if (!link->proven)
        return (struct window){.leaves = 4, .pull = 1};
    return (struct window){.leaves = 48, .pull = 8};
}

/* ---- flights ---- */

static struct sh_flight *oldest_flight(struct sh_puller *puller, sh_link_id link)
{
    struct sh_flight *oldest = NULL;
    for (size_t i = 0; i < SH_PULL_FLIGHTS; i++) {
        struct sh_flight *flight = &puller->flights[i];
        if (flight->used && flight->link == link && (!oldest || flight->order < oldest->order))
            oldest = flight;
    }
    return oldest;
}

static void count_flights(const struct sh_puller *puller, sh_link_id link, unsigned *ret_flights,
                          unsigned *ret_leaves)
{
    *ret_flights = *ret_leaves = 0;
    for (size_t i = 0; i < SH_PULL_FLIGHTS; i++) {
        const struct sh_flight *flight = &puller->flights[i];
        if (!flight->used || flight->link != link)
            continue;
        (*ret_flights)++;
        *ret_leaves += (unsigned)__builtin_popcount(flight->missing);
    }
}

static struct sh_flight *free_flight(struct sh_puller *puller)
{
    for (size_t i = 0; i < SH_PULL_FLIGHTS; i++) {
        if (!puller->flights[i].used)
            return &puller->flights[i];
    }
    return NULL;
}

void sh_puller_orphan(struct sh_puller *puller, sh_link_id link)
{
    for (size_t i = 0; i < SH_PULL_FLIGHTS; i++) {
        if (puller->flights[i].used && puller->flights[i].link == link)
            puller->flights[i].link = 0;
    }
}

/* A leaf is here: it is awaited no more, of whatever link. The next flight in the line of that
 * link begins to be the oldest now, and not when it was asked for. */
static void clear_leaf(struct sh_puller *puller, uint32_t item, uint64_t leaf, sh_ms now)
{
    for (size_t i = 0; i < SH_PULL_FLIGHTS; i++) {
        struct sh_flight *flight = &puller->flights[i];
        if (!flight->used || flight->item != item || leaf < flight->first ||
            leaf - flight->first >= flight->count)
            continue;
        flight->missing &= (uint16_t) ~(1u << (leaf - flight->first));
        flight->active = now;
        if (flight->missing != 0)
            continue;
        flight->used = false;
        struct sh_flight *next = oldest_flight(puller, flight->link);
        if (next && next->order > flight->order)
            next->active = now;
    }
}

static bool link_has_flights(const struct sh_puller *puller, sh_link_id link)
{
    unsigned flights = 0, leaves = 0;
    count_flights(puller, link, &flights, &leaves);
    return flights > 0;
}

bool sh_puller_waits_for(const struct sh_puller *puller, sh_link_id link)
{
    return link_has_flights(puller, link);
}

/* Streams keep their order, so a request that gives nothing while later ones of its link do was
 * lost at the other side: it is asked again, the link is not to blame. */
static void take_back_overtaken(struct sh_puller *puller, const struct sh_pull_link *link,
                                sh_ms now)
{
    struct sh_flight *oldest = oldest_flight(puller, link->id);
    if (!oldest || now - oldest->active < SH_STALL_MS || now - link->active >= SH_STALL_MS)
        return;
    sh_log("puller: leaves of item %u from %" PRIu64 " are overdue, asked again", oldest->item,
           oldest->first);
    oldest->link = 0;
    struct sh_flight *next = oldest_flight(puller, link->id);
    if (next)
        next->active = now;
}

sh_link_id sh_puller_stalled_link(struct sh_puller *puller, sh_ms now)
{
    for (size_t i = 0; i < SH_PULL_LINKS; i++) {
        const struct sh_pull_link *link = &puller->links[i];
        if (link->id == 0 || !link_has_flights(puller, link->id) || link->queued > 0)
            continue;
        if (now - link->active >= SH_STALL_MS)
            return link->id;
        take_back_overtaken(puller, link, now);
    }
    return 0;
}

/* ---- asking ---- */

/* All of the flight's leaves are asked of link; what is not missing of them is passed over when
 * it comes. */
static void ask_flight(struct sh_puller *puller, struct sh_pull_link *link,
                       struct sh_flight *flight, sh_ms now)
{
    Simhop__Pull message = SIMHOP__PULL__INIT;
    if (!link_has_flights(puller, link->id))
        link->active = now;
    flight->used = true;
    flight->link = link->id;
    flight->order = ++puller->flight_order;
    flight->active = now;
    message.item = flight->item;
    message.first = flight->first;
    message.count = flight->count;
    (void)sh_puller_send(puller, link->id, SH_MSG_PULL, &message.base);
}

static uint16_t mask_of(unsigned count)
{
    return (uint16_t)((1u << count) - 1);
}

/* Asks for the first run of missing leaves, at most `most`, of a flight that lost its link; the
 * rest of it, if any, stays without one. With no room to split it, it is asked for as a whole. */
static bool ask_orphan(struct sh_puller *puller, struct sh_pull_link *link, unsigned most,
                       sh_ms now)
{
    struct sh_flight *orphan = oldest_flight(puller, 0);
    struct sh_flight *flight = free_flight(puller);
    if (!orphan)
        return false;
    unsigned first = (unsigned)__builtin_ctz(orphan->missing);
    unsigned count = 0;
    while (count < most && first + count < orphan->count &&
           (orphan->missing >> (first + count) & 1))
        count++;
    uint16_t rest = (uint16_t)(orphan->missing & ~(mask_of(count) << first));
    if (flight || rest == 0) {
        struct sh_flight run = {.item = orphan->item,
                                .first = orphan->first + first,
                                .count = count,
                                .missing = mask_of(count)};
        flight = rest == 0 ? orphan : flight;
        orphan->missing = rest;
        *flight = run;
    } else {
        flight = orphan;
    }
    ask_flight(puller, link, flight, now);
    return true;
}

enum sh_cause sh_puller_wake(struct sh_puller *puller, struct sh_pull_item *item)
{
    SH_TRY(sh_store_item_wake(item->store));
    uint64_t verified = sh_store_item_verified(item->store);
    puller->resumed += verified - item->info.verified; /* modulo 2^64, also downwards */
    item->info.verified = verified;
    return SH_OK;
}

/* Asks for the next missing leaves behind the cursors. */
static enum sh_cause ask_new(struct sh_puller *puller, struct sh_pull_link *link, unsigned most,
                             sh_ms now, bool *ret_asked)
{
    struct sh_flight *flight = free_flight(puller);
    size_t end = SH_MIN(puller->count, puller->first + SH_PULL_ACTIVE_ITEMS);
    *ret_asked = false;
    for (size_t i = puller->first; flight && i < end; i++) {
        struct sh_pull_item *item = &puller->items[i];
        uint64_t settled = sh_puller_settled(item);
        if (!item->store || item->cursor >= settled)
            continue;
        SH_TRY(sh_puller_wake(puller, item));
        uint64_t first = SH_MIN(sh_store_item_next_missing(item->store, item->cursor), settled);
        unsigned count = 0;
        while (count < most && first + count < settled &&
               !sh_store_item_has(item->store, first + count))
            count++;
        item->cursor = first + count;
        if (count == 0)
            continue;
        *flight = (struct sh_flight){
            .item = (uint32_t)i, .first = first, .count = count, .missing = mask_of(count)};
        ask_flight(puller, link, flight, now);
        *ret_asked = true;
        break;
    }
    return SH_OK;
}

/* Nothing is left to ask for, and the best link has nothing to do: it takes over what a slower one still has in flight, and
 * what that one brings in the end is passed over. Otherwise a whole transfer would wait for its last leaves over BLE. */
static bool take_over(struct sh_puller *puller, struct sh_pull_link *best, unsigned most, sh_ms now)
{
    if (link_has_flights(puller, best->id))
        return false;
    for (size_t i = 0; i < SH_PULL_FLIGHTS; i++) {
        struct sh_flight *flight = &puller->flights[i];
        const struct sh_pull_link *link = sh_puller_link(puller, flight->link);
        /* One that is just being tried is given a moment. */
        if (!flight->used || flight->link == best->id ||
            (link && !link->proven && now - flight->active < SH_TRIAL_MS))
            continue;
        flight->link = 0;
        return ask_orphan(puller, best, most, now);
    }
    return false;
}

/* Nothing is left to ask for: a link that is to be tried gets the last missing leaf of the latest flight too. */
static void borrow(struct sh_puller *puller, struct sh_pull_link *link, sh_ms now)
{
    struct sh_flight *latest = NULL, *flight = free_flight(puller);
    for (size_t i = 0; i < SH_PULL_FLIGHTS; i++) {
        struct sh_flight *candidate = &puller->flights[i];
        if (candidate->used && (!latest || candidate->order > latest->order))
            latest = candidate;
    }
    if (!latest || !flight)
        return;
    unsigned last = 31u - (unsigned)__builtin_clz(latest->missing);
    struct sh_flight one = {
        .item = latest->item, .first = latest->first + last, .count = 1, .missing = 1};
    latest->missing &= (uint16_t) ~(1u << last);
    if (latest->missing == 0)
        flight = latest;
    *flight = one;
    ask_flight(puller, link, flight, now);
}

/* Better than the best, but not proven: one leaf, once. */
static enum sh_cause try_fresh(struct sh_puller *puller, sh_ms now)
{
    for (size_t i = 0; i < SH_PULL_LINKS; i++) {
        struct sh_pull_link *link = &puller->links[i];
        const struct sh_pull_link *best = sh_puller_best_link(puller);
        bool asked = false;
        if (link->id == 0 || link == best || link->proven || link->tried || link->rank > best->rank)
            continue;
        asked = ask_orphan(puller, link, 1, now);
        if (!asked)
            SH_TRY(ask_new(puller, link, 1, now, &asked));
        if (!asked)
            borrow(puller, link, now);
        link->tried = link_has_flights(puller, link->id);
    }
    return SH_OK;
}

enum sh_cause sh_puller_fill(struct sh_puller *puller, sh_ms now)
{
    struct sh_pull_link *link = NULL;
    SH_TRY(try_fresh(puller, now));
    while ((link = sh_puller_best_link(puller)) != NULL) {
        struct window window = window_of(link);
        unsigned flights = 0, leaves = 0;
        bool asked = false;
        count_flights(puller, link->id, &flights, &leaves);
        /* Whole pulls only, not one for each leaf that comes in. */
        if (flights == SH_PULL_LINK_FLIGHTS || leaves + window.pull > window.leaves)
            break;
        asked = ask_orphan(puller, link, window.pull, now);
        if (!asked && !oldest_flight(puller, 0))
            SH_TRY(ask_new(puller, link, window.pull, now, &asked));
        if (!asked && !take_over(puller, link, window.pull, now))
            break;
    }
    return SH_OK;
}

/* ---- taking ---- */

/* Of a leaf that is here already: only whether its link gives what is right. */
static enum sh_cause prove(const struct sh_pull_item *item, struct sh_pull_link *link,
                           const struct sh_leaf *leaf)
{
    uint8_t hash[SH_HASH_SIZE];
    if (link->proven)
        return SH_OK;
    SH_TRY(sh_leaf_hash(leaf->data, hash));
    if (memcmp(hash, leaf->hash, sizeof(hash)) != 0)
        return sh_fail(SH_TRANSFER_LEAF_MISMATCH, "leaf %" PRIu64 " of %s", leaf->index,
                       item->info.name);
    link->proven = true;
    return SH_OK;
}

/* Of a fast link, of what it was asked for. */
static bool comes_more(const struct sh_puller *puller, const struct sh_pull_link *link)
{
    unsigned flights = 0, leaves = 0;
    if (link->kind == SIMHOP__LINK_KIND__LINK_KIND_BLE || !link->proven)
        return false;
    count_flights(puller, link->id, &flights, &leaves);
    return leaves > link->queued;
}

enum sh_cause sh_puller_rx_leaf(struct sh_puller *puller, struct sh_pull_link *link,
                                struct sh_bytes payload)
{
    struct sh_leaf leaf = {.item = 0};
    struct sh_store_from from = {.link = link->id, .kind = link->kind};
    SH_TRY(sh_leaf_read(payload, &leaf));
    if (leaf.item >= puller->count || leaf.index >= puller->items[leaf.item].cursor)
        return sh_fail(SH_PROTO_WRONG_STATE, "leaf %" PRIu64 " of item %u was not asked for",
                       leaf.index, leaf.item);
    struct sh_pull_item *item = &puller->items[leaf.item];
    if (leaf.data.n != sh_leaf_length(item->info.size, leaf.index))
        return sh_fail(SH_PROTO_MALFORMED, "leaf %" PRIu64 " of %s has %zu octets", leaf.index,
                       item->info.name, leaf.data.n);
    if (!item->store || sh_store_item_has(item->store, leaf.index))
        return prove(item, link, &leaf); /* asked for twice when a link went, and both came */
    link->queued++;
    from.more = comes_more(puller, link);
    SH_TRY(sh_store_item_put(item->store, leaf.index, leaf.data, leaf.hash, &from));
    return SH_OK;
}

static void count_leaf(struct sh_puller *puller, uint32_t index, const struct sh_store_news *news,
                       sh_ms now)
{
    int kind = news->from.kind;
    struct sh_pull_link *link = sh_puller_link(puller, news->from.link);
    puller->items[index].info.verified += news->octets;
    if (link) {
        link->proven = true;
        link->queued--;
        link->active = now;
    }
    if (news->from.link == 0)
        puller->resumed += news->octets;
    else {
        puller->bytes[kind > 0 && kind < SH_PULL_KINDS ? kind : 0] += news->octets;
        if (puller->items[index].older)
            puller->items[index].older->pulled += news->octets;
        puller->progress_link = news->from.link;
    }
    sh_patience_moved(&puller->patience, now);
    sh_puller_progress(puller, index, false, now);
}

/* Whether anything was taken is told, for the disk is waited for only so long. */
static enum sh_cause take_news(struct sh_puller *puller, uint32_t index, sh_ms now, bool *ret_taken)
{
    struct sh_store_news news;
    struct sh_store_item *store = puller->items[index].store;
    while (store && sh_store_item_take(store, &news)) {
        *ret_taken = true;
        SH_TRY(news.cause);
        if (news.from.link == 0)
            sh_puller_older_compared(puller, index, &news);
        if (news.differs) {
            sh_patience_moved(&puller->patience, now);
            continue;
        }
        clear_leaf(puller, index, news.leaf, now);
        count_leaf(puller, index, &news, now);
    }
    return SH_OK;
}

void sh_puller_hurry(struct sh_puller *puller)
{
    size_t end = SH_MIN(puller->count, puller->first + SH_PULL_ACTIVE_ITEMS);
    for (size_t i = puller->first; i < end; i++) {
        if (puller->items[i].store)
            sh_store_item_hurry(puller->items[i].store);
    }
}

enum sh_cause sh_puller_collect(struct sh_puller *puller, sh_ms now)
{
    size_t end = SH_MIN(puller->count, puller->first + SH_PULL_ACTIVE_ITEMS);
    bool taken = false, behind = false;
    for (size_t i = puller->first; i < end; i++) {
        SH_TRY(take_news(puller, (uint32_t)i, now, &taken));
        behind =
            behind || (puller->items[i].store && sh_store_item_is_behind(puller->items[i].store));
    }
    if (taken)
        puller->disk = SH_NEVER;
    return behind ? sh_puller_await_disk(puller, now) : SH_OK;
}
