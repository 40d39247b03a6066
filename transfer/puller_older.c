/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An item that changed, or whose source did while it was cut off: the hashes of its leaves are asked for in order. What an older
 * copy has with these hashes is taken over as they come, a little at a time, and only what differs is pulled, while that goes on:
 * the first piece does not wait until the anchor has read all. As with pieces that are sent, the root says at the end whether all of
 * it is right.
 */
#include "transfer/puller_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/log.h"

#define WORTH   4  /* missing leaves; with fewer of them asking costs more time than it saves */
#define COMPARE 16 /* leaves that are given to be compared at once; as many may wait for it */
#define RETRIES 3  /* of a range of hashes */

void sh_puller_older_end(struct sh_pull_item *item)
{
    struct sh_pull_older *older = item->older;
    if (!older)
        return;
    sh_store_older_close(&older->copies);
    for (size_t i = 0; i < SH_STORE_OLDER; i++)
        free(older->paths[i]);
    free(older);
    item->older = NULL;
}

enum sh_cause sh_puller_older_begin(struct sh_puller *puller, struct sh_pull_item *item)
{
    uint64_t missing = (item->info.size - item->info.verified) / SH_LEAF_SIZE;
    if (!puller->leaf_hashes || !puller->ops->older || missing < WORTH)
        return SH_OK;
    item->older = calloc(1, sizeof(*item->older));
    if (!item->older)
        return SH_ENV_NO_MEMORY;
    SH_TRY(puller->ops->older(&item->info, item->older->paths, puller->user));
    if (!item->older->paths[0])
        sh_puller_older_end(item);
    else
        item->resumed = true;
    return SH_OK;
}

uint64_t sh_puller_settled(const struct sh_pull_item *item)
{
    return item->older ? item->older->settled : item->leaves;
}

uint64_t sh_puller_older_left(const struct sh_pull_older *older)
{
    return older->differing - SH_MIN(older->differing, older->pulled);
}

/* ---- what is the same ---- */

/* All that was given is compared. */
static void settle(struct sh_pull_item *item)
{
    struct sh_pull_older *older = item->older;
    if (sh_store_item_compares(item->store) > 0)
        return;
    older->settled = older->copies.next;
    if (older->settled < item->leaves)
        return;
    sh_log("puller: %" PRIu64 " of %" PRIu64 " octets of %s were in no older copy",
           older->differing, item->info.size, item->info.name);
    sh_puller_older_end(item);
}

void sh_puller_older_compared(struct sh_puller *puller, uint32_t index,
                              const struct sh_store_news *news)
{
    struct sh_pull_item *item = &puller->items[index];
    struct sh_pull_older *older = item->older;
    if (!older)
        return;
    older->settled = news->leaf + 1;
    older->differing += news->differs ? news->octets : 0;
    settle(item);
}

static enum sh_cause compare_some(struct sh_pull_item *item)
{
    struct sh_pull_older *older = item->older;
    if (!older->copies.copies)
        SH_TRY(sh_store_older_open(older->paths, &older->copies));
    SH_TRY(sh_store_item_take_over(item->store, &older->copies, older->known, COMPARE));
    settle(item);
    return SH_OK;
}

enum sh_cause sh_puller_take_over(struct sh_puller *puller, sh_ms now, bool *ret_more)
{
    size_t end = SH_MIN(puller->count, puller->first + SH_PULL_ACTIVE_ITEMS);
    *ret_more = false;
    SH_TRY(sh_puller_collect(puller, now));
    for (size_t i = puller->first; i < end; i++) {
        struct sh_pull_item *item = &puller->items[i];
        if (!item->older || item->older->copies.next == item->older->known)
            continue;
        SH_TRY(sh_puller_wake(puller, item));
        if (sh_store_item_compares(item->store) <= COMPARE) {
            SH_TRY(compare_some(item));
            *ret_more = true;
        }
        break;
    }
    return SH_OK;
}

/* ---- hashes ---- */

static void ask_hashes(struct sh_puller *puller, uint32_t index, sh_ms now)
{
    struct sh_pull_item *item = &puller->items[index];
    struct sh_pull_older *older = item->older;
    Simhop__LeafHashesRequest message = SIMHOP__LEAF_HASHES_REQUEST__INIT;
    sh_link_id link = 0;
    if (!sh_puller_ask_due(puller, &older->ask, SH_MANIFEST_MS, now, &link))
        return;
    if (sh_puller_ask_spent(puller, &older->ask, RETRIES)) {
        sh_log("puller: no more hashes of item %u came, the rest of it is pulled", index);
        older->known = older->copies.next = item->leaves;
        settle(item);
        return;
    }
    message.item = index;
    message.first = older->known;
    message.count = (uint32_t)SH_MIN(item->leaves - older->known, SH_LEAF_HASHES_MAX);
    item->asked_hashes = true;
    if (sh_puller_send(puller, link, SH_MSG_LEAF_HASHES_REQUEST, &message.base))
        sh_puller_asked(puller, &older->ask, link, now);
}

static enum sh_cause take_hashes(struct sh_puller *puller, struct sh_pull_item *item,
                                 const Simhop__LeafHashes *in)
{
    struct sh_pull_older *older = item->older;
    unsigned count = (unsigned)(in->hashes.len / SH_HASH_SIZE);
    SH_TRY(sh_puller_wake(puller, item));
    SH_TRY(sh_store_item_expect(item->store, in->first, in->hashes.data, count));
    older->known += count;
    older->ask = (struct sh_pull_ask){.asks = 0};
    return SH_OK;
}

enum sh_cause sh_puller_rx_leaf_hashes(struct sh_puller *puller, struct sh_bytes payload, sh_ms now)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_LEAF_HASHES, payload, &message));
    const Simhop__LeafHashes *in = (const Simhop__LeafHashes *)message;
    if (in->item >= puller->count || !puller->items[in->item].asked_hashes)
        return sh_fail(SH_PROTO_WRONG_STATE, "hashes of item %u were not asked for", in->item);
    struct sh_pull_item *item = &puller->items[in->item];
    uint64_t count = in->hashes.len / SH_HASH_SIZE;
    if (count == 0 || count > SH_LEAF_HASHES_MAX || in->hashes.len % SH_HASH_SIZE != 0 ||
        in->first > item->leaves || count > item->leaves - in->first)
        return sh_fail(SH_PROTO_MALFORMED, "%zu octets of hashes of %s", in->hashes.len,
                       item->info.name);
    if (!item->older || in->first < item->older->known)
        return SH_OK; /* they were asked for again, and both answers came */
    if (in->first > item->older->known)
        return sh_fail(SH_PROTO_WRONG_STATE, "hashes of %s from %" PRIu64 " on", item->info.name,
                       in->first);
    SH_TRY(take_hashes(puller, item, in));
    sh_patience_moved(&puller->patience, now);
    return SH_OK;
}

void sh_puller_older(struct sh_puller *puller, sh_ms now)
{
    size_t end = SH_MIN(puller->count, puller->first + SH_PULL_ACTIVE_ITEMS);
    for (size_t i = puller->first; i < end; i++) {
        const struct sh_pull_item *item = &puller->items[i];
        if (!item->older || item->older->known == item->leaves)
            continue;
        ask_hashes(puller, (uint32_t)i, now);
        break; /* of one item at a time, in order, as the anchor reads them */
    }
}
