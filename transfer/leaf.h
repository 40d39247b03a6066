/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The binary payload of a Leaf message, big endian:
 *     item (4) | index (8) | leaf hash (32) | data (1 to 65536)
 * An item of nothing has no leaf. The leaf hash is that of crypto/hashtree.h. All leaves of an item but the last are full.
 */
#ifndef SIMHOP_TRANSFER_LEAF_H
#define SIMHOP_TRANSFER_LEAF_H

#include "crypto/hashtree.h"
#include "proto/msg.h"

#define SH_LEAF_HASHES_MAX 512 /* in a LeafHashes: 32 MiB of an item */

struct sh_leaf {
    uint32_t item;
    uint64_t index;
    uint8_t hash[SH_HASH_SIZE];
    struct sh_bytes data; /* borrowed from the payload */
};

void sh_leaf_head(const struct sh_leaf *leaf, uint8_t out[SH_LEAF_OVERHEAD]);
/* Fails with proto.malformed. The hash is not checked here. */
SH_MUST_USE enum sh_cause sh_leaf_read(struct sh_bytes payload, struct sh_leaf *ret_leaf);

/* How many leaves an item of this size has (0 for 0), and how long leaf `index` is. */
uint64_t sh_leaf_count(uint64_t size);
uint32_t sh_leaf_length(uint64_t size, uint64_t index);

#endif
