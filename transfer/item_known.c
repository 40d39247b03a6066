/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hashes of leaves that were read before: many secondaries at once ask for the same ones, a little after each other. A hash holds
 * as long as the source's state, which is looked at with each reading.
 */
#include <stdlib.h>
#include <string.h>

#include "transfer/item_internal.h"
#include "transfer/leaf.h"

#define KNOWN_MOST 512 /* leaves, 20 KiB: as far as those who began together drift apart */

/* Leaf i stands at i % count. */
struct sh_item_known {
    size_t count;
    struct {
        uint64_t number; /* of the leaf, from 1 on; 0: none */
        uint8_t hash[SH_HASH_SIZE];
    } at[];
};

void sh_item_known_drop(struct sh_item *item)
{
    free(item->known);
    item->known = NULL;
}

/* NULL: there is no memory for it, so each reading is hashed. */
static struct sh_item_known *known_of(struct sh_item *item)
{
    size_t count = (size_t)SH_MIN(sh_leaf_count(item->size), (uint64_t)KNOWN_MOST);
    if (item->known)
        return item->known;
    item->known = calloc(1, sizeof(*item->known) + count * sizeof(item->known->at[0]));
    if (item->known)
        item->known->count = count;
    return item->known;
}

enum sh_cause sh_item_leaf_hash(struct sh_item *item, uint64_t index, struct sh_bytes data,
                                uint8_t out[SH_HASH_SIZE])
{
    struct sh_item_known *known = known_of(item);
    size_t at = known ? (size_t)(index % known->count) : 0;
    if (known && known->at[at].number == index + 1) {
        memcpy(out, known->at[at].hash, SH_HASH_SIZE);
        return SH_OK;
    }
    SH_TRY(sh_leaf_hash(data, out));
    if (known) {
        known->at[at].number = index + 1;
        memcpy(known->at[at].hash, out, SH_HASH_SIZE);
    }
    return SH_OK;
}
