/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a folder holds of an item that is on its way in (see transfer/store.h), for who is not receiving it just now: how
 * much is verified, by the journal's own records, and how it is given up. Looking changes nothing and takes no lock, so it
 * may be done while a session works on the item.
 *
 * What the journal says of data that an earlier boot wrote is looked at again before it counts (see
 * transfer/store_journal.h); here it is told as it stands.
 */
#ifndef SIMHOP_TRANSFER_STORE_LIST_H
#define SIMHOP_TRANSFER_STORE_LIST_H

#include "transfer/item.h"

struct sh_store_look {
    bool there;        /* false: no pieces of it, or not both of data and journal */
    uint64_t verified; /* octets; 0 where the journal is of another size, or none */
};

/* dir: the target folder, which need not exist. Fails with env.permission, store.io-error, env.no-memory. */
SH_MUST_USE enum sh_cause sh_store_look(const char *dir, const uint8_t id[SH_ITEM_ID_SIZE],
                                        uint64_t size, struct sh_store_look *ret_look);

/* Where the data of the pieces is, whether there are any or not. *ret_path is malloc'ed. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_store_part_path(const char *dir, const uint8_t id[SH_ITEM_ID_SIZE],
                                             char **ret_path);

/* Removes the pieces, and .simhop if nothing else is in there; nothing there is fine. Fails with store.busy (a session
 * works on it), store.damaged (something that is not a plain file of ours), store.*, env.permission. */
SH_MUST_USE enum sh_cause sh_store_drop(const char *dir, const uint8_t id[SH_ITEM_ID_SIZE],
                                        uint64_t size);

#endif
