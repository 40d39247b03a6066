/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to this room: the hashes of some leaves of an item, as they were asked for, made a little at a time. They
 * go into the item's tree too, so a secondary that asks for the hashes of a whole item and then for its root lets the
 * anchor hash its leaves once.
 */
#ifndef SIMHOP_TRANSFER_HASHING_H
#define SIMHOP_TRANSFER_HASHING_H

#include "transfer/item.h"
#include "transfer/leaf.h"

struct sh_hashing {
    uint8_t *hashes; /* NULL: none are asked for */
    uint32_t item;
    uint64_t first;
    unsigned count, done;
};

/* The same range again changes nothing, another one takes its place. The range is in the item, count at most
 * SH_LEAF_HASHES_MAX. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_hashing_begin(struct sh_hashing *hashing, uint32_t item,
                                           uint64_t first, unsigned count);
/* A few leaves more, read into buffer (SH_LEAF_SIZE octets); done == count: all. Fails as sh_item_read_leaf does. */
SH_MUST_USE enum sh_cause sh_hashing_work(struct sh_hashing *hashing, struct sh_item *item,
                                          uint8_t *buffer);
void sh_hashing_end(struct sh_hashing *hashing);

#endif
